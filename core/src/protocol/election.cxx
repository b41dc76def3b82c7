#include <algorithm>
#include <limits>
#include <utility>

#include "buffer_serializer.hxx"
#include "error_code.hxx"
#include "protocol/raft.hxx"

// The campaigning side of elections: Raft section 5.2, pre-vote (dissertation 9.6), priorities
// (behaviour 4-8).

namespace nuraft {
namespace protocol {

namespace {
/// How long the target priority must have been 1 before a zero-priority server may campaign, in
/// heartbeats (behaviour 5.4: a fixed factor).
constexpr int32_t zero_priority_patience = 20;
}  // namespace

void raft::on_start(const inputs::start& in) {
    priority_at_floor_since_ = now_;
    grace_ = {state_.term, now_, false};
    if (commit_index_ > initial_commit_index_) out_->commit = commit_index_;
    activate_committed_configs();  // A crash may have come between the commit and this.
    last_vote_decay_ = now_ - settings_.params.election_timeout_upper_bound_;
    if (in.skip_election_timer) {
        state_.election_timer_allowed = false;
        save_state();
        return;
    }
    arm_election_timer(false);
}

void raft::arm_election_timer(bool allow) {
    if (role_ == srv_role::leader || state_.catching_up) return;
    if (!state_.election_timer_allowed) {
        // Only a leader's traffic, admission to a configuration or the program wakes a server
        // that was made passive (B4).
        if (!allow) return;
        state_.election_timer_allowed = true;
        save_state();
        match_peers_to_config();  // It may have shut its connections when it fell silent (B42).
    }
    const raft_params& p = settings_.params;
    int32_t delay = uniform(p.election_timeout_lower_bound_, p.election_timeout_upper_bound_);
    if (long_timer_once_) {
        // A leader that resigned in favour of another stays behind everybody once.
        delay = p.election_timeout_lower_bound_ + p.election_timeout_upper_bound_;
        long_timer_once_ = false;
    }
    election_armed_at_ = now_;
    arm(timer_kind::election, -1, delay);
}

void raft::learn_of_removal() {
    notify(notice::removed_from_cluster);
    was_removed_ = true;
    steps_to_leave_ = 2;
}

bool raft::count_down_to_leaving() {
    if (steps_to_leave_ == 0) return false;
    if (--steps_to_leave_ > 0) {
        arm_election_timer(false);
        return true;
    }
    if (!was_removed_ && !mutated(mutation::leaver_falls_silent))
        return false;  // It agreed to leave, and was not removed after all.
    state_.election_timer_allowed = false;
    save_state();
    cancel(timer_kind::election, -1);
    for (auto& [peer_id, p] : peers_) {
        forget_sends(p);
        out_->connections.push_back({connection_change::close, peer_id, std::string()});
    }
    peers_.clear();
    return true;
}

void raft::on_election_timeout() {
    if (role_ == srv_role::leader) return;
    if (count_down_to_leaving()) return;
    if (state_.catching_up || out_of_log_range_) return;
    const bool too_early =
        now_ - election_armed_at_ < settings_.params.election_timeout_lower_bound_;
    const bool receiving = state_.receiving_snapshot && !mutated(mutation::receiver_campaigns);
    if (receiving || too_early || !is_voter()) return arm_election_timer(false);

    if (!leader_is_live_) decay_target_priority();
    if (pre_vote_.term != state_.term) reset_pre_vote();
    if (pre_vote_.done || elects({id()})) {
        start_vote(false);
    } else {
        start_pre_vote();
    }
    arm_election_timer(false);
}

void raft::reset_pre_vote() {
    pre_vote_.term = state_.term;
    pre_vote_.done = false;
    pre_vote_.dead.clear();
    pre_vote_.live.clear();
    pre_vote_.abandoned.clear();
}

void raft::refresh_leader_alive() {
    target_priority_ = std::max(highest_priority(), 1);
    priority_at_floor_since_ = now_;
    leader_is_live_ = true;
    if (grace_.term != state_.term) grace_.due = true;
    reset_pre_vote();
}

void raft::decay_target_priority() {
    if (target_priority_ > 1) priority_at_floor_since_ = now_;
    if (settings_.params.priority_decay_method_ == raft_params::tiered_decay) {
        int32_t next = 1;
        auto consider = [&](int32_t priority) {
            if (priority < target_priority_) next = std::max(next, priority);
        };
        consider(my_priority_);
        for (const auto& [peer_id, p] : peers_) consider(p.server->get_priority());
        target_priority_ = next;
        return;
    }
    target_priority_ = std::max(1, target_priority_ - std::max(10, target_priority_ / 5));
}

bool raft::zero_priority_exception() const {
    return settings_.params.allow_temporary_zero_priority_leader_ && target_priority_ == 1 &&
           my_priority_ == 0 &&
           now_ - priority_at_floor_since_ >
               int64_t{zero_priority_patience} * settings_.params.heart_beat_interval_;
}

bool raft::elects(const std::set<int32_t>& supporters) const {
    for (const cluster_config* config : decisive_configs()) {
        if (mutated(mutation::removal_in_log_ignored) && config != config_.get()) continue;
        int32_t count = 0;
        for (const ptr<srv_config>& server : config->get_servers()) {
            count += is_regular(*server) && supporters.count(server->get_id()) ? 1 : 0;
        }
        if (count < election_quorum_among(voters_of(*config))) return false;
    }
    return true;
}

bool raft::may_campaign(bool forced) const {
    return forced || my_priority_ >= target_priority_ || zero_priority_exception() ||
           (elects({id()}) && my_priority_ > 0);
}

void raft::start_pre_vote() {
    // The first round after losing the leader also distrusts every connection: a black hole looks
    // just like a dead leader.
    const bool first_round = leader_is_live_;
    const int64_t too_silent =
        int64_t{settings_.params.heart_beat_interval_} * settings_.limits.reconnect;
    for (auto& [peer_id, p] : peers_) {
        if (!counts(p)) continue;
        if (first_round || p.broken || now_ - p.last_activity > too_silent) reconnect(p);
    }
    consider_standing_alone();
    if (mutated(mutation::pre_vote_raises_term)) adopt_term(state_.term + 1);
    leader_is_live_ = false;
    leader_ = -1;
    role_ = srv_role::candidate;
    index_at_becoming_leader_ = 0;
    reset_pre_vote();
    pre_vote_.dead.insert(id());
    if (!may_campaign(false)) return;

    int32_t unreachable = 0;
    for (auto& [peer_id, p] : peers_) {
        if (!counts(p)) continue;
        if (p.busy || p.broken) {
            ++unreachable;
            continue;
        }
        send_to(p,
                cs_new<req_msg>(state_.term, msg_type::pre_vote_request, id(), peer_id,
                                last_log_term(), log_.last_index(), commit_index_),
                true);
    }
    const bool hopeless = unreachable + election_quorum() > voters();
    pre_vote_.hopeless = hopeless ? pre_vote_.hopeless + 1 : 0;  // B7
    if (settings_.limits.busy_connection > 0 &&
        pre_vote_.hopeless > settings_.limits.busy_connection) {
        pre_vote_.hopeless = 0;
        notify(notice::isolated);
    }
}

void raft::on_pre_vote_response(peer_progress& p, const resp_msg& resp) {
    if (role_ == srv_role::leader || resp.get_term() != state_.term ||
        pre_vote_.term != state_.term || pre_vote_.dead.count(id()) == 0 || !counts(p)) {
        return;  // Not of this round; and each server speaks once (B8).
    }
    if (resp.get_accepted()) {
        pre_vote_.dead.insert(p.id);
    } else if (resp.get_next_idx() == std::numeric_limits<uint64_t>::max()) {
        pre_vote_.abandoned.insert(p.id);
    } else {
        pre_vote_.live.insert(p.id);
    }

    if (elects(pre_vote_.dead) && !pre_vote_.done) {
        pre_vote_.done = true;
        start_vote(false);
        arm_election_timer(false);
        return;
    }
    const size_t quorum = static_cast<size_t>(election_quorum());
    if (!resp.get_accepted() && pre_vote_.live.size() >= quorum &&
        ++pre_vote_.quorum_rejections >= settings_.limits.pre_vote_rejection) {
        // Others hear a leader that we do not: have it dial us again.
        on_request_reconnect();
    }
    if (pre_vote_.abandoned.size() >= quorum && steps_to_leave_ == 0) {
        learn_of_removal();
    }
}

void raft::on_campaign(const inputs::campaign& in) {
    if (role_ == srv_role::leader) return;
    start_vote(in.forced);
    arm_election_timer(false);
}

void raft::start_vote(bool forced) {
    if (!forced && leaves_election_to_others()) return;
    if (!may_campaign(forced)) return;
    vote_.forced = forced;
    vote_.awaits_term = true;
    out_->candidacy = term_question{state_.term};
}

void raft::on_term_answer(const inputs::term_answer& in) {
    if (!std::exchange(vote_.awaits_term, false)) return;
    const uint64_t term = quorum_is_adjusted() ? term_of_one_alone(in.term) : in.term;
    if (term <= state_.term) return;
    state_.term = term;
    state_.voted_for = id();
    save_state();
    role_ = srv_role::candidate;
    leader_is_live_ = false;
    leader_ = -1;
    vote_.open = true;
    vote_.responded = {id()};
    vote_.granted = {id()};
    if (elects(vote_.granted)) return become_leader();

    for (auto& [peer_id, p] : peers_) {
        if (!counts(p) || p.busy || !ready_to_send(p)) continue;
        auto req = cs_new<req_msg>(state_.term, msg_type::request_vote_request, id(), peer_id,
                                   last_log_term(), log_.last_index(), commit_index_);
        if (vote_.forced) {
            ptr<buffer> marker = buffer::alloc(1);
            buffer_serializer(marker).put_u8(0);
            req->log_entries().push_back(cs_new<log_entry>(0, marker, log_val_type::custom));
        }
        send_to(p, req, true);
    }
}

void raft::on_vote_response(peer_progress& p, const resp_msg& resp) {
    const bool current = resp.get_term() == state_.term || mutated(mutation::vote_of_earlier_term);
    if (!vote_.open || role_ != srv_role::candidate || !current || !counts(p)) {
        return;
    }
    vote_.responded.insert(p.id);
    if (resp.get_accepted()) vote_.granted.insert(p.id);
    // "If votes received from majority of servers: become leader" (Raft figure 2).
    if (elects(vote_.granted)) return become_leader();
    if (vote_.responded.size() >= static_cast<size_t>(voters())) vote_.open = false;
}

void raft::become_leader() {
    cancel(timer_kind::election, -1);
    vote_.open = false;
    role_ = srv_role::leader;
    leader_ = last_leader_ = id();
    leader_is_live_ = true;
    leader_since_ = last_transfer_check_ = now_;
    initialized_ = true;
    out_of_log_range_ = false;
    pre_vote_.quorum_rejections = pre_vote_.unanswered = 0;
    pre_vote_.hopeless = 0;
    self_marked_down_ = excluded_by_leader_ = false;
    handover_.reset();
    for (auto& [peer_id, p] : peers_) {
        drop_transfer(p);
        p.next = log_.last_index() + 1;
        // Of another leadership; its log may have been rewritten since (B11).
        if (!mutated(mutation::match_kept_across_terms)) p.match = 0;
        p.last_accepted = 0;
        p.applied = 0;
        p.ask_again_ms = 0;
        p.marked_down = false;
        p.rewind = 1;
        end_streaming(p);
        p.commit_pending = false;
        p.snapshot_needed = false;
        p.lost = false;
        p.size_hint = 0;
        start_heartbeats(p);
    }
    // A leader's first entry is of its own term: with it all earlier ones commit (Raft 8, 5.4.2).
    index_at_becoming_leader_ = log_.last_index() + 1;
    const ptr<cluster_config> first = with_broadcast_priorities(*newest_config());
    if (!mutated(mutation::no_entry_of_own_term)) append_config(first);
    announce_leadership();
    recompute_commit();
    replicate_to_all();
    if (my_priority_ == 0 && voters() > 1) notify(notice::resign_wanted, best_successor(now_));
}

}  // namespace protocol
}  // namespace nuraft
