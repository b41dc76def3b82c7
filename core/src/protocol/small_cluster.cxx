#include "protocol/raft.hxx"

// Quorum adjustment in clusters of two voters (behaviour 20): the one that is left may go on
// alone, if the program says so. This gives up safety on purpose: in a partition both may lead and
// commit. The sizes that the program configured are never touched (B25).

namespace nuraft {
namespace protocol {

namespace {
/// How often at most a leader considers the other voter.
constexpr time_ms check_interval_ms = 1000;
}  // namespace

bool raft::quorum_is_adjusted() const {
    // Also while the other one is being removed, which would need it otherwise.
    return quorum_adjusted_ && settings_.params.auto_adjust_quorum_for_small_cluster_ &&
           voters_of(*config_) == 2;
}

peer_progress* raft::other_of_two() {
    if (!settings_.params.auto_adjust_quorum_for_small_cluster_ || voters() != 2 || !is_voter()) {
        return nullptr;
    }
    for (auto& [peer_id, p] : peers_) {
        if (counts(p)) return &p;
    }
    return nullptr;
}

bool raft::is_away(const peer_progress& p) const {
    const raft_params& params = settings_.params;
    const int64_t patience = int64_t{params.heart_beat_interval_} * settings_.limits.response;
    if (silence_of(p, now_) > patience) return true;
    // A match of 0 says only that it has not answered on this connection yet.
    return p.match != 0 &&
           p.match + static_cast<uint64_t>(std::max(params.stale_log_gap_, 0)) < log_.last_index();
}

void raft::consider_other_of_two() {
    if (now_ - quorum_checked_at_ < check_interval_ms) return;
    const peer_progress* other = other_of_two();
    if (!other) return;
    quorum_checked_at_ = now_;
    if (!quorum_adjusted_) {
        if (commit_quorum() > 1 && is_away(*other)) notify(notice::quorum_adjustment_wanted);
        return;
    }
    const bool answers = other->match != 0 && other->last_response > leader_since_;
    if (answers && !is_away(*other)) quorum_adjusted_ = false;
}

void raft::consider_standing_alone() {
    // The round before this one: did anybody say anything?
    const bool on_record = pre_vote_.term == state_.term && !pre_vote_.dead.empty();
    const size_t answers = pre_vote_.dead.size() + pre_vote_.live.size();
    const bool unanswered = on_record && answers < static_cast<size_t>(election_quorum());
    pre_vote_.unanswered = unanswered ? pre_vote_.unanswered + 1 : 0;
    if (pre_vote_.unanswered > settings_.limits.vote && other_of_two()) {
        notify(notice::quorum_adjustment_wanted);
    }
}

uint64_t raft::term_of_one_alone(uint64_t least) const {
    // Whoever goes on alone asks nobody whether the term is free. Were it the same for both, one
    // after the other, their logs would differ and nobody could tell (Raft 5.3, log matching). So
    // one of them has the odd terms and the other the even ones.
    bool lower = true;
    for (const auto& [peer_id, p] : peers_) lower = lower && (!counts(p) || id() < peer_id);
    const bool is_ours = (least % 2 == 1) == lower;
    return is_ours ? least : least + 1;
}

void raft::on_adjust_quorum() {
    const peer_progress* other = other_of_two();
    const bool still_away =
        other && (role_ == srv_role::leader ? is_away(*other)
                                            : pre_vote_.unanswered > settings_.limits.vote);
    if (!still_away) return;  // It came back while the program was asked.
    quorum_adjusted_ = true;
    recompute_commit();
}

}  // namespace protocol
}  // namespace nuraft
