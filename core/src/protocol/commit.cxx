#include <algorithm>
#include <functional>

#include "protocol/raft.hxx"

// The commit rule (Raft sections 5.3, 5.4.2; behaviour 15) and configurations that it activates.

namespace nuraft {
namespace protocol {

uint64_t raft::own_durable_index() const {
    if (mutated(mutation::own_disk_not_waited_for)) return log_.last_index();
    return std::min(durable_index_, log_.last_index());
}

uint64_t raft::held_by(int32_t quorum, const cluster_config& config) const {
    std::vector<uint64_t> matched;
    for (const ptr<srv_config>& server : config.get_servers()) {
        if (!is_regular(*server)) continue;
        const peer_progress* p = find_peer(server->get_id());
        matched.push_back(server->get_id() == id() ? own_durable_index() : p ? p->match : 0);
    }
    const size_t place = static_cast<size_t>(quorum);
    if (matched.size() < place) return 0;
    std::sort(matched.begin(), matched.end(), std::greater<uint64_t>());
    return matched[place - 1];
}

int32_t raft::left_out() const {
    // Who receives a snapshot need not be waited for, if the program wants that (behaviour 15.1).
    // A quorum without him still meets the majorities of the same voters (commit_quorum_among), but
    // not always those of voters that differ by one server, and a later leader may be elected by
    // these (decisive_configs). So nobody is left out
    //
    // - while the voters are changing: the next ones may elect somebody who lacks what the present
    //   ones committed behind the change;
    // - if the present ones were not always there, and we do not know who was there before.
    //
    // Otherwise the log of whoever is elected first without an entry of ours ends in the same
    // voters as ours: they were committed before the entry, and others would stand behind it. He
    // asks those voters; or, if he did not hear that they were committed, those before them, and
    // the present ones too if one has left. What is left is that one has come and he asks those
    // before alone: see quorum_index.
    if (!settings_.params.exclude_snp_receiver_from_quorum_ || !former_voters_) return 0;
    if (voters_are_changing()) return 0;
    int32_t receivers = 0;
    for (const auto& [peer_id, p] : peers_) receivers += counts(p) && p.transfer ? 1 : 0;
    return receivers;
}

uint64_t raft::quorum_index(const cluster_config& config) const {
    // Who goes on alone goes by his own disk. The other one's may hold more, but will not be asked.
    if (quorum_is_adjusted()) return own_durable_index();
    auto full_quorum = [this](const cluster_config& c) {
        return commit_quorum_among(voters_of(c), 0);
    };
    const int32_t full = full_quorum(config);
    const int32_t reduced =
        &config == config_.get() ? commit_quorum_among(voters_of(config), left_out()) : full;
    const uint64_t index = held_by(reduced, config);
    if (reduced == full) return index;
    const cluster_config& before = *former_voters_;
    const bool has_grown = keeps_voters(before, config) && !same_voters(before, config);
    return has_grown ? std::min(index, held_by(full_quorum(before), before)) : index;
}

bool raft::leaver_needs_us() const {
    // With two voters, removing the other one would need it. But once it uses the configuration of
    // the two it cannot be elected without us, and neither can anybody else: what we commit alone
    // makes our log the newer one, and all who have this configuration in their log ask both of us
    // (see decisive_configs).
    const peer_progress* leaver = find_peer(leaving_);
    return leaver && is_regular(*leaver->server) && config_->get_server(leaving_) &&
           voters() == 1 && is_voter() && leaver->commit_seen >= config_->get_log_idx();
}

uint64_t raft::commit_candidate() const {
    uint64_t candidate = std::min(log_.last_index(), healthy_index());
    for (const cluster_config* config : decisive_configs()) {
        if (config == config_.get() && leaver_needs_us()) continue;
        candidate = std::min(candidate, quorum_index(*config));
    }
    return candidate;
}

bool raft::may_commit(uint64_t index) const {
    // "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
    // log[N].term == currentTerm: set commitIndex = N" (Raft figure 2).
    const bool of_our_term =
        term_of(index) == state_.term || mutated(mutation::older_term_counted_as_committed);
    return role_ == srv_role::leader && index > commit_index_ && of_our_term;
}

commit_question raft::expected_commit() const {
    commit_question q;
    const uint64_t candidate = commit_candidate();
    q.current = commit_index_;
    q.expected = may_commit(candidate) ? candidate : commit_index_;
    q.indexes[id()] = own_durable_index();
    for (const auto& [peer_id, p] : peers_) q.indexes[peer_id] = p.match;
    return q;
}

void raft::recompute_commit() {
    if (role_ != srv_role::leader) return;  // B41
    const uint64_t candidate = commit_candidate();
    if (!may_commit(candidate)) return;
    if (peers_.empty() || commit_quorum() == 1) return raise_commit(candidate);
    asked_commit_ = candidate;
    out_->question = expected_commit();
}

void raft::on_commit_answer(const inputs::commit_answer& in) {
    // The program may hold a commit back, not run ahead of the quorum (B20), and what it picks
    // must obey the current-term rule too.
    const uint64_t index = std::min({in.index, asked_commit_, log_.last_index()});
    if (may_commit(index)) raise_commit(index);
}

void raft::raise_commit(uint64_t index) {
    if (index <= commit_index_) return;
    commit_index_ = lag_target_ = index;
    const ptr<cluster_config> before = config_;
    activate_committed_configs();
    out_->commit = mutated(mutation::applied_beyond_commit) ? log_.last_index() : commit_index_;
    if (role_ != srv_role::leader) return;
    for (auto& [peer_id, p] : peers_) {
        if (knows_commit_by_applying(p)) continue;
        if (!try_send(p)) p.commit_pending = true;
    }
    // A smaller cluster may need no further answer for what is already in the log.
    if (config_ != before) recompute_commit();
}

bool raft::others_know(uint64_t index, const cluster_config& config) const {
    // A voter acts on its own removal once those who stay know of it: a leader told it, or, as
    // leader, it has told a majority of them. Until then they may need its vote, and if its log is
    // the longest they will not get it: it must be able to lead once more.
    if (mutated(mutation::removed_leader_steps_out_at_once)) return true;
    if (role_ != srv_role::leader) return leader_commit_index_ >= index;
    int32_t know = 0;
    for (const ptr<srv_config>& server : config.get_servers()) {
        const peer_progress* p = find_peer(server->get_id());
        know += p && is_regular(*server) && p->commit_seen >= index ? 1 : 0;
    }
    return know >= quorum_of(voters_of(config), 0);
}

void raft::activate_committed_configs() {
    // In order, and each saved before any answer that lets the next one be committed: so no two
    // servers ever use configurations more than one change apart (B36). And only once it is on our
    // own disk: a saved configuration then proves, after a crash, that our log up to it is the
    // committed one.
    const uint64_t through = mutated(mutation::config_active_before_durable)
                                 ? commit_index_
                                 : std::min(commit_index_, durable_index_);
    while (!uncommitted_configs_.empty() && uncommitted_configs_.begin()->first <= through) {
        const uint64_t index = uncommitted_configs_.begin()->first;
        ptr<cluster_config> config = uncommitted_configs_.begin()->second;
        if (is_voter() && !is_voter_in(*config) && !others_know(index, *config)) return;
        uncommitted_configs_.erase(uncommitted_configs_.begin());
        past_configs_[index] = config;
        if (config->get_log_idx() <= config_->get_log_idx()) continue;  // Replayed after a restart.
        if (!mutated(mutation::config_not_saved)) out_->save_config = config;
        apply_config(config);
    }
}

}  // namespace protocol
}  // namespace nuraft
