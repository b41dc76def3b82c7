#include "checker.hxx"

#include <algorithm>

#include "sim_server.hxx"

// What a step changes, and what is applied and answered after it. Logs, leaders, commits and
// messages are in the files beside this.

namespace sim {

using namespace nuraft;

checker::before checker::look(const sim_server& s) {
    const protocol::raft& r = s.node();
    return {r.role(),           r.term(),          r.commit_index(),
            r.last_log_index(), r.writes_paused(), r.quorum_is_adjusted(),
            s.disk().state,     r.config()};
}

void checker::booted(sim_server& s) {
    const protocol::raft& r = s.node();
    if (r.state() != s.disk().state) fail("server ", s.id(), " starts with another term or vote");
    if (r.role() == srv_role::leader) fail("server ", s.id(), " starts as leader");
    if (r.commit_index() > std::max(s.disk().next_index() - 1, s.disk().snapshot_index())) {
        fail("server ", s.id(), " starts with commit ", r.commit_index(), " beyond its log");
    }
}

void checker::stepped(sim_server& s, const before& was, const protocol::input& in,
                      const protocol::effects& out) {
    check_state(s, was, in, out);
    if (auto* req = std::get_if<protocol::inputs::request>(&in)) {
        // 20: a pre-vote changes nothing that lasts.
        if (req->msg->get_type() == msg_type::pre_vote_request &&
            (s.node().term() != was.term || (out.save && *out.save != was.saved))) {
            fail("server ", s.id(), " changes its state because of a pre-vote");
        }
    }
    for (const protocol::outgoing& o : out.send) {
        if (o.msg->get_type() == msg_type::pre_vote_request && s.node().term() != was.term) {
            fail("server ", s.id(), " raises its term for a pre-vote");
        }
    }
    if (auto* p = std::get_if<protocol::inputs::proposal>(&in)) {
        if (out.answers.size() != 1 || out.answers.front().number != p->number) {
            fail("server ", s.id(), " gives ", out.answers.size(), " answers to a proposal");
        }
        // 21: no client entry while writes are paused.
        if (out.answers.front().accepted && (was.paused || was.role != srv_role::leader)) {
            fail("server ", s.id(), " accepts a proposal although it may not write");
        }
    }
    if (out.write) check_write(s, was, *out.write);
}

void checker::check_state(sim_server& s, const before& was, const protocol::input& in,
                          const protocol::effects& out) {
    const protocol::raft& r = s.node();
    // 2, except that an absorbed single server takes the term of its new cluster.
    if (r.term() < was.term && !(s.outsider() && out.save && out.save->catching_up)) {
        fail("term of server ", s.id(), " falls from ", was.term, " to ", r.term());
    }
    if (out.save && out.save->term == was.saved.term && was.saved.voted_for != -1 &&
        out.save->voted_for != was.saved.voted_for) {
        fail("server ", s.id(), " changes its vote in term ", was.saved.term);
    }
    if (out.save && was.saved.election_timer_allowed && !out.save->election_timer_allowed &&
        !s.told_of_removal() && !std::holds_alternative<protocol::inputs::start>(in)) {
        fail("server ", s.id(), " falls silent and was not removed");
    }
    const protocol::hard_state& durable = out.save ? *out.save : was.saved;
    if (durable != r.state()) {
        fail("server ", s.id(), " did not ask to save its state: ", r.describe());
    }
}

void checker::executed(sim_server& s, const before& was, const protocol::input& in) {
    peers_.executed(s, in);
    check_leadership(s, was);
    if (std::holds_alternative<protocol::inputs::response>(in)) check_matches(s);
    const protocol::raft& r = s.node();
    // 8
    if (!s.installing() && s.machine().index > r.commit_index()) {
        fail("server ", s.id(), " applied ", s.machine().index, " but committed only ",
             r.commit_index());
    }
    // 17
    if (r.config()->get_log_idx() != s.disk().config->get_log_idx()) {
        fail("server ", s.id(), " uses configuration ", r.config()->get_log_idx(), " but saved ",
             s.disk().config->get_log_idx());
    }
    // 22
    if (r.role() != srv_role::leader && s.holds_transfer()) {
        fail("server ", s.id(), " leads no more and did not free a transfer");
    }
}

void checker::applied(sim_server& s, const machine_state& state) {
    if (s.outsider()) return;
    if (state.index > committed_.size()) {
        fail("server ", s.id(), " applies ", state.index, " which was never committed");
    }
    if (state.hash != committed_[state.index - 1].chain) {
        fail("state of server ", s.id(), " at ", state.index, " differs from the others'");
    }
}

void checker::acknowledged(uint64_t index, uint64_t hash) {
    // 25: a client that was told OK finds its own content there.
    if (index > committed_.size() || committed_[index - 1].hash != hash) {
        fail("a client was told that its entry is at ", index, ", where another one is");
    }
}

void checker::read(const sim_server& s, uint64_t index, uint64_t committed) const {
    // A read sees every write acknowledged before it came; here even every committed one.
    if (index < committed) {
        fail("server ", s.id(), " answers a read at ", index, " although ", committed,
             " was committed before it came");
    }
    if (index > s.node().commit_index()) {
        fail("server ", s.id(), " answers a read at ", index, " which is not committed");
    }
}

}  // namespace sim
