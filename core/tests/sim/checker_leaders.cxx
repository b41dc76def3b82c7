#include "checker.hxx"
#include "cluster.hxx"
#include "configurations.hxx"

// Who leads, by whose votes, with which entries, and until when.

namespace sim {

using namespace nuraft;

void checker::check_leadership(sim_server& s, const before& was) {
    const protocol::raft& r = s.node();
    if (r.role() != srv_role::leader || s.outsider()) return;
    // 1
    auto [known, added] = leaders_.insert({r.term(), s.id()});
    if (!added && known->second != s.id()) {
        fail("term ", r.term(), " has two leaders: ", known->second, " and ", s.id());
    }
    if (was.role == srv_role::leader && was.term == r.term()) return;
    if (was.adjusted) ++world_.count().elected_alone;
    check_votes(s, *was.config);
    // Raft 6: a removal in the log decides too.
    std::map<int32_t, bool> members = members_of(*was.config);
    for (uint64_t i = was.config->get_log_idx() + 1; i < r.index_at_becoming_leader(); ++i) {
        const disk::stored_entry* entry = s.disk().logical_at(i);
        if (!entry || entry->entry->get_val_type() != log_val_type::conf) continue;
        const ptr<cluster_config> config = config_of(*entry->entry);
        const std::map<int32_t, bool> then = members_of(*config);
        for (const auto& [id, votes] : members) {
            auto stays = then.find(id);
            if (votes && (stays == then.end() || !stays->second)) check_votes(s, *config);
        }
        members = then;
    }
    // 12: every leader has every entry that was committed in an earlier term.
    if (const uint64_t lacking = first_lacking(s, r.term())) {
        fail("leader ", s.id(), " of term ", r.term(), " lacks committed entry ", lacking);
    }
    if (s.disk().start_index() > committed_.size() + 1) {
        fail("leader ", s.id(), " starts at ", s.disk().start_index(), " beyond what is committed");
    }
    // 7: the first entry of a leader is a configuration of its term.
    const disk::stored_entry* first = s.disk().logical_at(r.index_at_becoming_leader());
    if (!first || first->term() != r.term() || first->entry->get_val_type() != log_val_type::conf) {
        fail("leader ", s.id(), " does not begin term ", r.term(), " with a configuration");
    }
}

void checker::check_votes(sim_server& s, const cluster_config& config) const {
    // 18, and Raft 5.2: the votes of a majority, granted in this term, and of voters only.
    int32_t voters = 0;
    int32_t granted = 0;
    for (const auto& [id, votes] : members_of(config)) {
        if (!votes) continue;
        ++voters;
        auto vote = votes_.find({id, s.node().term()});
        const bool own = id == s.id() && s.disk().state.voted_for == id;
        granted += own || (vote != votes_.end() && vote->second == s.id()) ? 1 : 0;
    }
    // One of two that goes on alone needs its own vote only (behaviour 20).
    const int32_t needed = s.node().quorum_is_adjusted() && voters == 2 ? 1 : voters / 2 + 1;
    if (granted < needed) {
        fail("server ", s.id(), " leads term ", s.node().term(), " by ", granted, " votes of ",
             voters);
    }
}

uint64_t checker::first_lacking(const sim_server& s, uint64_t before_term) const {
    for (uint64_t i = s.disk().snapshot_index() + 1; i <= committed_.size(); ++i) {
        if (committed_[i - 1].committed_in >= before_term) break;
        const disk::stored_entry* entry = s.disk().logical_at(i);
        if (!entry || entry->term() != committed_[i - 1].term) return i;
    }
    return 0;
}

bool checker::holds_all_committed(const sim_server& s) const {
    return first_lacking(s, UINT64_MAX) == 0;
}

void checker::check_matches(sim_server& s) const {
    // 9, 15: what a leader believes to be on another server's disk is there, unless that one
    // follows a later leader by now.
    const protocol::raft& r = s.node();
    if (r.role() != srv_role::leader || s.outsider()) return;
    for (const protocol::peer_view& peer : r.peers(0)) {
        const disk::stored_entry* ours = s.disk().logical_at(peer.match);
        const sim_server& other = world_.server(peer.id);
        if (!ours || other.disk().state.term != r.term()) continue;
        if (durable_on(other, peer.match, ours->term())) continue;
        fail("leader ", s.id(), " believes that server ", peer.id, " holds entry ", peer.match,
             " of term ", ours->term());
    }
}

void checker::check_stepping_out(const sim_server& s, const before& was,
                                 const cluster_config& config) const {
    // A leader that is removed leads until a majority of the others goes on without it, or
    // another leader tells it.
    if (s.node().term() != was.term) return;
    std::map<int32_t, bool> members = members_of(config);
    if (was.role != srv_role::leader || members[s.id()] || !members_of(*was.config)[s.id()]) return;
    int32_t voters = 0;
    int32_t know = 0;
    for (const auto& [id, votes] : members) {
        voters += votes ? 1 : 0;
        const bool without = !members_of(*world_.server(id).disk().config)[s.id()];
        know += votes && without ? 1 : 0;
    }
    if (know <= voters / 2) {
        fail("leader ", s.id(), " steps out by configuration ", config.get_log_idx(), ", but only ",
             know, " of ", voters, " go on without it");
    }
}

}  // namespace sim
