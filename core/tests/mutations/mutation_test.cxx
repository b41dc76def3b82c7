#include "protocol/mutation.hxx"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <string>

#include "cluster.hxx"

// Proof that the simulation's net holds: each classic mistake, planted in the protocol, breaks an
// invariant within some seeds. Prints the table of sim/mutations.md. Environment:
//   MUTATION_FIRST=n  from which seed on (1).
//   MUTATION_SEEDS=n  how many at most for each (8000).

namespace sim {
namespace {

using nuraft::protocol::mutation;

/// "§" is a section of the behaviour specification, "B" one of its items beyond NuRaft.
struct mistake {
    mutation what;
    const char* name;
    const char* rule;
};

void PrintTo(const mistake& m, std::ostream* out) {
    *out << m.name;
}

constexpr mistake mistakes[] = {
    {mutation::vote_not_saved, "vote_not_saved", "Raft 5.2: a vote is durable before it is given"},
    {mutation::vote_twice, "vote_twice", "Raft 5.2: one vote in a term"},
    {mutation::vote_for_older_log, "vote_for_older_log",
     "Raft 5.4.1: no vote for a log that is behind"},
    {mutation::vote_by_learner, "vote_by_learner",
     "§ 39.18: learners and new joiners count for nothing"},
    {mutation::vote_of_earlier_term, "vote_of_earlier_term", "Raft 5.2: votes of this term elect"},
    {mutation::quorum_too_small, "quorum_too_small", "Raft 5.2: more than half"},
    {mutation::term_not_saved, "term_not_saved",
     "Raft figure 2: the term is durable before anybody hears it"},
    {mutation::pre_vote_raises_term, "pre_vote_raises_term", "§ 39.20: a pre-vote changes no term"},
    {mutation::emptied_log_has_no_term, "emptied_log_has_no_term",
     "B9: an emptied log ends where its snapshot ends"},
    {mutation::receiver_campaigns, "receiver_campaigns",
     "§ 39.19: who receives a snapshot does not campaign"},
    {mutation::leaver_falls_silent, "leaver_falls_silent",
     "§ 26.3: who was not removed takes part again"},
    {mutation::removed_leader_steps_out_at_once, "removed_leader_steps_out_at_once",
     "a removed leader leads until the others know"},
    {mutation::older_term_accepted, "older_term_accepted",
     "Raft figure 2: refuse if term < currentTerm"},
    {mutation::log_check_skipped, "log_check_skipped",
     "Raft 5.3: refuse if the entry before does not match"},
    {mutation::known_entries_cut_off, "known_entries_cut_off",
     "Raft figure 2: only a conflict deletes entries"},
    {mutation::acknowledged_before_durable, "acknowledged_before_durable",
     "§ 39.15: acknowledged entries are durable"},
    {mutation::match_kept_across_terms, "match_kept_across_terms",
     "B11: a new leader knows no match index"},
    {mutation::answer_of_replaced_connection_counts, "answer_of_replaced_connection_counts",
     "B15: a replaced connection says nothing"},
    {mutation::leader_overwrites_own_log, "leader_overwrites_own_log",
     "Raft 5.3: a leader only appends"},
    {mutation::stream_skips_entry, "stream_skips_entry",
     "§ 39.27: streamed requests are contiguous"},
    {mutation::bytes_never_returned, "bytes_never_returned",
     "§ 39.28: nothing is in flight when nobody has to answer"},
    {mutation::silent_quorum_kept, "silent_quorum_kept",
     "§ 39.29: a leader that a quorum does not answer resigns"},
    {mutation::older_term_counted_as_committed, "older_term_counted_as_committed",
     "Raft 5.4.2: commit by an entry of the own term"},
    {mutation::own_disk_not_waited_for, "own_disk_not_waited_for",
     "§ 21: a leader counts what is on its disk"},
    {mutation::commit_beyond_entries, "commit_beyond_entries",
     "§ 12.5: commit no further than the request reaches"},
    {mutation::applied_beyond_commit, "applied_beyond_commit", "§ 39.8: apply what is committed"},
    {mutation::no_entry_of_own_term, "no_entry_of_own_term",
     "§ 39.7: a term begins with a configuration"},
    {mutation::written_while_handing_over, "written_while_handing_over",
     "§ 39.21: no client entry while writes are paused"},
    {mutation::read_not_confirmed, "read_not_confirmed",
     "dissertation 6.4: a majority confirms the leadership of a read"},
    {mutation::read_confirmed_by_earlier_answer, "read_confirmed_by_earlier_answer",
     "dissertation 6.4: it confirms that after the read came"},
    {mutation::read_before_entry_of_own_term, "read_before_entry_of_own_term",
     "dissertation 6.4: an entry of the own term is committed before a read is answered"},
    {mutation::two_changes_at_once, "two_changes_at_once",
     "§ 39.16: one change of members at a time"},
    {mutation::removal_in_log_ignored, "removal_in_log_ignored",
     "Raft 6: a removal in the log decides too"},
    {mutation::config_rollback_forgotten, "config_rollback_forgotten",
     "§ 12.4: a configuration that is cut off is not in progress"},
    {mutation::config_active_before_durable, "config_active_before_durable",
     "a saved configuration proves the log before it"},
    {mutation::config_not_saved, "config_not_saved", "§ 39.17: saved before it is active"},
    {mutation::foreign_log_trusted, "foreign_log_trusted",
     "§ 25.3: the log from before the join is not the cluster's"},
    {mutation::applied_not_reset, "applied_not_reset",
     "§ 25.3: the state from before the join is not the cluster's"},
    {mutation::term_lowered_by_invitation, "term_lowered_by_invitation",
     "B31: an invitation does not lower the term"},
    {mutation::stale_snapshot_installed, "stale_snapshot_installed",
     "§ 24.3: no snapshot over a newer state"},
    {mutation::conflicting_log_kept, "conflicting_log_kept",
     "Raft figure 13: discard a log that disagrees"},
    {mutation::receiving_ends_too_early, "receiving_ends_too_early",
     "B30: receiving until state and log agree"},
    {mutation::snapshot_config_ignored, "snapshot_config_ignored",
     "§ 24.5: a snapshot brings its configuration"},
    {mutation::transfer_not_freed, "transfer_not_freed",
     "§ 39.22: a snapshot context is freed once"},
};

uint64_t number_from(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// What the simulation says about one seed; empty: nothing.
std::string violation_of(uint64_t seed) {
    cluster world(options::draw(seed, ""));
    try {
        world.run();
        return std::string();
    } catch (const std::exception& e) {
        return e.what();  // A mistake may also make the protocol trip over itself.
    }
}

class every : public ::testing::TestWithParam<mistake> {
protected:
    void SetUp() override { nuraft::protocol::planted = GetParam().what; }
    void TearDown() override { nuraft::protocol::planted = mutation::none; }
};

TEST_P(every, is_found) {
    const uint64_t first = number_from("MUTATION_FIRST", 1);
    const uint64_t most = number_from("MUTATION_SEEDS", 8000);
    for (uint64_t ran = 1; ran <= most; ++ran) {
        std::string found = violation_of(first + ran - 1);
        if (found.empty()) continue;
        found = found.substr(0, found.find(": server "));  // Without the server's whole state.
        std::replace(found.begin(), found.end(), '|', '/');
        std::printf("| `%s` | %s | %llu | %llu | %s |\n", GetParam().name, GetParam().rule,
                    static_cast<unsigned long long>(ran),
                    static_cast<unsigned long long>(first + ran - 1), found.c_str());
        return;
    }
    ADD_FAILURE() << "not found by " << most << " seeds: the checker or the generator has a hole";
}

INSTANTIATE_TEST_SUITE_P(mistakes, every, ::testing::ValuesIn(mistakes),
                         [](const auto& m) { return std::string(m.param.name); });

}  // namespace
}  // namespace sim
