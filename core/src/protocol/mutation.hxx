#pragma once

namespace nuraft {
namespace protocol {

/// Classic mistakes of Raft implementations. The test program `mutation_tests` is built with them
/// (RAFT3D_MUTATIONS) and plants one at a time, to prove that the simulation would find it. In
/// every other build `mutated` is a constant, and nothing is left of them.
enum class mutation {
    none,
    // Elections.
    vote_not_saved,
    vote_twice,
    vote_for_older_log,
    vote_by_learner,
    vote_of_earlier_term,
    quorum_too_small,
    term_not_saved,
    pre_vote_raises_term,
    emptied_log_has_no_term,
    receiver_campaigns,
    leaver_falls_silent,
    removed_leader_steps_out_at_once,
    // Replication.
    older_term_accepted,
    log_check_skipped,
    known_entries_cut_off,
    acknowledged_before_durable,
    match_kept_across_terms,
    answer_of_replaced_connection_counts,
    leader_overwrites_own_log,
    stream_skips_entry,
    bytes_never_returned,
    silent_quorum_kept,
    // Commit and apply.
    older_term_counted_as_committed,
    own_disk_not_waited_for,
    commit_beyond_entries,
    applied_beyond_commit,
    no_entry_of_own_term,
    written_while_handing_over,
    read_not_confirmed,
    read_confirmed_by_earlier_answer,
    read_before_entry_of_own_term,
    // Membership.
    two_changes_at_once,
    removal_in_log_ignored,
    config_rollback_forgotten,
    config_active_before_durable,
    config_not_saved,
    foreign_log_trusted,
    applied_not_reset,
    term_lowered_by_invitation,
    // Snapshots.
    stale_snapshot_installed,
    conflicting_log_kept,
    receiving_ends_too_early,
    snapshot_config_ignored,
    transfer_not_freed,
};

#ifdef RAFT3D_MUTATIONS
inline mutation planted = mutation::none;
inline bool mutated(mutation m) {
    return m == planted;
}
#else
constexpr bool mutated(mutation) {
    return false;
}
#endif

}  // namespace protocol
}  // namespace nuraft
