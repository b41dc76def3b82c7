#include <algorithm>

#include "checker.hxx"
#include "cluster.hxx"

// What servers say to each other.

namespace sim {

using namespace nuraft;

void checker::sending(sim_server& s, const protocol::outgoing& o) {
    peers_.sending(s, o);
    req_msg& msg = *o.msg;
    const protocol::hard_state& durable = s.disk().state;
    if (msg.get_term() != durable.term) {
        fail("server ", s.id(), " sends term ", msg.get_term(), " but saved ", durable.term);
    }
    if (msg.get_dst() != o.peer || msg.get_src() != s.id()) {
        fail("server ", s.id(), " misaddresses a message to ", msg.get_dst());
    }
    if (msg.get_type() == msg_type::request_vote_request) {
        // 3, 19
        if (durable.voted_for != s.id()) {
            fail("server ", s.id(), " asks for votes without having saved its own");
        }
        if (durable.catching_up || durable.receiving_snapshot) {
            fail("server ", s.id(), " asks for votes while it is not up to date");
        }
        auto [vote, added] = votes_.insert({{s.id(), durable.term}, s.id()});
        if (!added && vote->second != s.id()) {
            fail("server ", s.id(), " votes for itself and for ", vote->second, " in term ",
                 durable.term);
        }
    }
    const bool append = msg.get_type() == msg_type::append_entries_request;
    const network::connection* c = world_.net().open_connection(s.id(), o.peer);
    if (!c) return;
    const raft_params& params = world_.opts().params;
    if (params.max_log_gap_in_stream_ <= 0 || !append) {
        // 26: one ordinary request at a time.
        for (const network::connection::request& r : c->unanswered) {
            const bool streamed = params.max_log_gap_in_stream_ > 0 &&
                                  r.msg->get_type() == msg_type::append_entries_request;
            if (streamed) continue;
            fail("server ", s.id(), " has two requests to ", o.peer, " in flight");
        }
    } else if (!c->unanswered.empty()) {
        ++world_.count().streamed;
    }
    if (append && s.node().role() != srv_role::leader) {
        fail("server ", s.id(), " sends entries and is not leader");
    }
}

void checker::replying(sim_server& s, msg_type request, const resp_msg& resp) {
    const protocol::hard_state& durable = s.disk().state;
    if (request == msg_type::request_vote_request && resp.get_accepted()) {
        // 3
        if (durable.term != resp.get_term() || durable.voted_for != resp.get_dst()) {
            fail("server ", s.id(), " grants its vote before it is saved");
        }
        auto [vote, added] = votes_.insert({{s.id(), durable.term}, resp.get_dst()});
        if (!added && vote->second != resp.get_dst()) {
            fail("server ", s.id(), " votes for ", vote->second, " and ", resp.get_dst(),
                 " in term ", durable.term);
        }
    }
    if (request == msg_type::append_entries_request && resp.get_accepted()) {
        // 15
        const uint64_t through = resp.get_next_idx() - 1;
        const uint64_t durable_through =
            std::max(s.disk().durable_index(), s.disk().snapshot_index());
        if (through > durable_through) {
            fail("server ", s.id(), " acknowledges ", through, " but only ", durable_through,
                 " is durable");
        }
    }
    // These carry the requester's term, and a join's answer the term from before (wire 3.9).
    const bool other_term = request == msg_type::pre_vote_request ||
                            request == msg_type::priority_change_request ||
                            request == msg_type::join_cluster_request;
    if (resp.get_term() > durable.term && !other_term) {
        fail("server ", s.id(), " answers with term ", resp.get_term(), " but saved ",
             durable.term);
    }
}

void checker::acknowledging(sim_server& s, uint64_t through, uint64_t term) {
    // 15: what it vouches for is the leader's entry.
    const disk::stored_entry* entry = s.disk().durable_at(through);
    if (entry && term != 0 && entry->term() != term) {
        fail("server ", s.id(), " acknowledges entry ", through, " of term ", term,
             " but holds one of term ", entry->term());
    }
}

}  // namespace sim
