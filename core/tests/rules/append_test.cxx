#include "fixture.hxx"

// Append entries at the receiver: Raft figure 2, 5.3; § 12.

namespace rules {
namespace {

// Raft figure 2, AppendEntries 1.
TEST(append, older_term_is_refused) {
    server s(setup().with_log({1, 1}).in_term(3));
    s.receive(append(2, 2, 2, 1, 0));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.reply().get_term(), 3u);
    EXPECT_EQ(s.core->leader(), -1);
}

// Raft figure 2, AppendEntries 2.
TEST(append, unknown_or_different_predecessor_is_refused) {
    server s(setup().with_log({1, 1, 2}));
    s.receive(append(2, 2, 5, 2, 0));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.reply().get_next_idx(), 4u) << "tells where its log ends";
    s.receive(append(2, 2, 3, 1, 0));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_FALSE(s.out.write);
    s.receive(append(2, 2, 3, 2, 0));
    EXPECT_TRUE(s.reply().get_accepted());
}

// § 12.7: index 0 is always consistent, and entries that are there already are skipped.
TEST(append, known_entries_are_skipped) {
    server s(setup().with_log({1, 1}));
    s.receive(append(1, 2, 0, 0, 0, {app(1, "1"), app(1, "2"), app(1, "3")}));
    ASSERT_TRUE(s.out.write);
    EXPECT_EQ(s.out.write->first, 3u);
    EXPECT_EQ(s.out.write->entries.size(), 1u);
    EXPECT_EQ(s.out.write->batch_first, 1u);
    EXPECT_EQ(s.out.write->batch_count, 3u) << "skipped ones belong to the batch (§ 12.4)";
}

// § 12.4: a log is cut only when there is something to write in its place.
TEST(append, shorter_request_does_not_truncate) {
    server s(setup().with_log({1, 1, 1}));
    s.receive(append(2, 2, 1, 1, 0));
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_FALSE(s.out.write);
    EXPECT_EQ(s.reply().get_next_idx(), 2u) << "vouches for no more than was compared";
    s.receive(append(2, 2, 1, 1, 0, {app(1, "2")}));
    EXPECT_FALSE(s.out.write);
    EXPECT_EQ(s.core->last_log_index(), 3u);
}

// Raft figure 2, AppendEntries 3 and 4.
TEST(append, conflicting_tail_is_replaced) {
    server s(setup().with_log({1, 1, 2, 2, 2}));
    s.receive(append(3, 2, 2, 1, 0, {app(3, "a"), app(3, "b")}));
    ASSERT_TRUE(s.out.write);
    EXPECT_EQ(s.out.write->first, 3u);
    EXPECT_EQ(s.out.write->discarded_end, 6u);
    EXPECT_EQ(s.core->last_log_index(), 4u);
    s.store();
    EXPECT_EQ(s.log.term_at(4), 3u);
}

// § 39.15, Raft figure 2 "persistent state": no acknowledgement before the disk has it.
TEST(append, acknowledgement_waits_for_the_disk) {
    server s;
    s.receive(append(1, 2, 0, 0, 0, {app(1), app(1)}));
    const uint64_t request = s.last_request();
    EXPECT_TRUE(s.out.replies.empty());
    s.store();
    EXPECT_TRUE(s.out.replies.empty());
    s.step(inputs::log_durable{1, 1});
    EXPECT_TRUE(s.out.replies.empty()) << "one of two is not enough";
    s.durable();
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_EQ(s.out.replies.front().request, request);
    EXPECT_EQ(s.reply().get_next_idx(), 3u);
}

// The same for a heartbeat that vouches for entries still on their way.
TEST(append, heartbeat_does_not_vouch_for_unwritten_entries) {
    server s;
    s.receive(append(1, 2, 0, 0, 0, {app(1)}));
    s.store();
    s.receive(append(1, 2, 1, 1, 1));
    EXPECT_TRUE(s.out.replies.empty());
    EXPECT_EQ(s.core->commit_index(), 1u) << "what others hold is committed all the same";
    s.durable();
    ASSERT_EQ(s.out.replies.size(), 2u);
    EXPECT_TRUE(s.out.replies[0].msg->get_accepted());
    EXPECT_TRUE(s.out.replies[1].msg->get_accepted());
}

// A report made before the log was cut says nothing of what is there now.
TEST(append, late_durability_report_is_not_believed) {
    server s(setup().with_log({1, 1, 1, 1}));
    s.receive(append(2, 2, 1, 1, 0, {app(2, "a")}));
    s.store();
    s.step(inputs::log_durable{4, 0});
    EXPECT_TRUE(s.out.replies.empty());
    EXPECT_EQ(s.core->durable_index(), 1u);
    s.durable();
    EXPECT_TRUE(s.reply().get_accepted());
}

// What waits for the disk is refused when a newer leader overwrites it.
TEST(append, overwritten_entries_are_never_acknowledged) {
    server s;
    s.receive(append(1, 2, 0, 0, 0, {app(1, "a"), app(1, "b")}));
    const uint64_t old_request = s.last_request();
    s.store();
    s.receive(append(2, 3, 0, 0, 0, {app(2, "c")}));
    ASSERT_EQ(s.out.replies.size(), 1u);
    EXPECT_EQ(s.out.replies.front().request, old_request);
    EXPECT_FALSE(s.out.replies.front().msg->get_accepted());
}

// B17: what is committed is not overwritten by anybody.
TEST(append, committed_entries_are_never_overwritten) {
    setup committed;
    committed.commit = 2;
    server s(committed.with_log({1, 1, 1}));
    s.receive(append(2, 2, 1, 1, 0, {app(2, "other")}));
    EXPECT_FALSE(s.out.write);
    EXPECT_TRUE(s.noticed(notice::halt));
    EXPECT_TRUE(s.dropped());
    EXPECT_EQ(s.core->last_log_index(), 3u);
    EXPECT_EQ(s.core->commit_index(), 2u);
}

// Raft figure 2, AppendEntries 5: min(leaderCommit, index of last new entry); § 15.4.
TEST(append, commit_follows_only_as_far_as_the_request_covers) {
    server s(setup().with_log({1, 1, 1, 1}));
    s.receive(append(1, 2, 2, 1, 9));
    ASSERT_TRUE(s.out.commit);
    EXPECT_EQ(*s.out.commit, 2u) << "entries 3 and 4 were not compared";
    s.receive(append(1, 2, 4, 1, 3));
    EXPECT_EQ(s.core->commit_index(), 3u);
    s.receive(append(1, 2, 4, 1, 1));
    EXPECT_EQ(s.core->commit_index(), 3u) << "never goes back";
    EXPECT_FALSE(s.out.commit);
}

// § 12.5: the sender becomes the known leader, and the own election waits.
TEST(append, accepted_append_names_the_leader) {
    server s(setup().in_term(2));
    s.receive(append(2, 3, 0, 0, 0));
    EXPECT_EQ(s.core->leader(), 3);
    EXPECT_TRUE(s.core->leader_alive());
    EXPECT_TRUE(s.core->initialized());
    EXPECT_GE(s.armed(timer_kind::election), 200);
}

// B4: also an append that does not match comes from the leader of the term.
TEST(append, mismatch_postpones_the_election_too) {
    server s(setup().in_term(2));
    s.receive(append(2, 3, 7, 2, 0));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_GE(s.armed(timer_kind::election), 200);
}

// Raft 5.2: a candidate that hears the leader of its term follows it.
TEST(append, candidate_yields_to_the_leader_of_its_term) {
    server s(setup().in_term(2));
    s.election_timeout();
    ASSERT_EQ(s.core->role(), srv_role::candidate);
    s.receive(append(2, 3, 0, 0, 0));
    EXPECT_EQ(s.core->role(), srv_role::follower);
}

// § 12.6: two leaders in one term are reported, and nothing is written.
TEST(append, second_leader_of_a_term_is_reported) {
    server s;
    s.become_leader();
    s.receive(append(s.core->term(), 3, 0, 0, 0, {app(1)}));
    EXPECT_TRUE(s.noticed(notice::misbehaving_leader));
    EXPECT_TRUE(s.dropped());
    EXPECT_FALSE(s.out.write);
    EXPECT_EQ(s.core->role(), srv_role::leader);
}

// § 12.3, 40.20: a veto moves nothing and starts no election.
TEST(append, declined_append_is_refused_without_rewinding) {
    server s(setup().with_log({1}));
    s.receive(append(1, 2, 1, 1, 0, {app(1)}), true);
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_FALSE(s.out.write);
    ASSERT_TRUE(s.reply().get_ctx());
    EXPECT_EQ(s.reply().get_ctx()->data_begin()[1], 1) << "DO_NOT_REWIND";
    EXPECT_EQ(s.reply().get_next_batch_size_hint_in_bytes(), -1);
    EXPECT_GE(s.armed(timer_kind::election), 200);
}

// § 24.3: in the middle of a snapshot no entries are taken, across restarts too.
TEST(append, receiving_a_snapshot_refuses_entries) {
    setup receiving;
    receiving.state.receiving_snapshot = true;
    server s(receiving.with_log({1}));
    EXPECT_FALSE(s.core->would_accept(*append(1, 2, 1, 1, 0), s.now));
    s.receive(append(1, 2, 1, 1, 0, {app(1)}));
    EXPECT_FALSE(s.reply().get_accepted());
    ASSERT_TRUE(s.reply().get_ctx());
    EXPECT_EQ(s.reply().get_ctx()->data_begin()[1], 2) << "RECEIVING_SNAPSHOT";
}

// § 12.2: the predecessor may be the end of the snapshot.
TEST(append, predecessor_may_be_the_snapshots_end) {
    setup compacted;
    compacted.with_log({1, 1, 2});
    compacted.log_start = 4;
    compacted.commit = 3;
    compacted.last_snapshot = snapshot_at(3, 2);
    server s(compacted);
    s.receive(append(2, 2, 3, 2, 0, {app(2)}));
    ASSERT_TRUE(s.out.write);
    EXPECT_EQ(s.out.write->first, 4u);
    server t(compacted);
    t.receive(append(2, 2, 3, 1, 0, {app(2)}));
    EXPECT_FALSE(t.out.write);
}

// A configuration is in force only from its commit on (§ 16.1), saved before it acts (§ 39.17).
TEST(append, configuration_acts_at_commit) {
    server s;
    s.receive(append(1, 2, 0, 0, 0, {conf(1, config_of({1, 2, 3, 4}, 1))}));
    s.persist();
    EXPECT_EQ(s.core->config()->get_log_idx(), 0u);
    EXPECT_TRUE(s.core->config_in_progress());
    s.receive(append(1, 2, 1, 1, 1));
    ASSERT_TRUE(s.out.save_config);
    EXPECT_EQ(s.out.save_config->get_log_idx(), 1u);
    EXPECT_TRUE(s.noticed(notice::config_active));
    EXPECT_EQ(s.core->config()->get_servers().size(), 4u);
    EXPECT_FALSE(s.core->config_in_progress());
}

// § 12.4: rolling a configuration back ends its being in progress.
TEST(append, overwritten_configuration_is_forgotten) {
    server s;
    s.receive(append(1, 2, 0, 0, 0, {conf(1, config_of({1, 2}, 1))}));
    s.persist();
    ASSERT_TRUE(s.core->config_in_progress());
    s.receive(append(2, 3, 0, 0, 0, {app(2)}));
    EXPECT_FALSE(s.core->config_in_progress());
    s.persist();
    s.receive(append(2, 3, 1, 2, 1));
    EXPECT_FALSE(s.out.save_config);
    EXPECT_EQ(s.core->config()->get_servers().size(), 3u);
}

// Entries that no honest leader sends are refused as a whole.
TEST(append, malformed_entries_are_refused) {
    server s(setup().in_term(2));
    s.receive(append(2, 2, 0, 0, 0, {app(0)}));
    EXPECT_TRUE(s.dropped());
    s.receive(append(2, 2, 0, 0, 0, {app(3)}));
    EXPECT_TRUE(s.dropped()) << "an entry of a later term than its leader's";
    s.receive(append(2, 2, 0, 0, 0, {app(2), app(1)}));
    EXPECT_TRUE(s.dropped()) << "terms never decrease along a log";
    s.receive(append(2, 2, 0, 0, 0,
                     {cs_new<log_entry>(2, bytes("no configuration"), log_val_type::conf)}));
    EXPECT_TRUE(s.dropped());
    EXPECT_EQ(s.core->last_log_index(), 0u);
    EXPECT_FALSE(s.core->halted());
}

// § 21.3: a follower whose disk fails must not go on as if it had written.
TEST(append, failed_write_is_never_acknowledged) {
    server s;
    s.receive(append(1, 2, 0, 0, 0, {app(1)}));
    s.store();
    s.step(inputs::log_failed{});
    for (const struct reply& r : s.out.replies) {
        EXPECT_TRUE(!r.msg || !r.msg->get_accepted());
    }
}

// Exactly one answer to each request, and none is forgotten when the server stops.
TEST(append, stopping_answers_what_was_held_back) {
    server s;
    s.receive(append(1, 2, 0, 0, 0, {app(1)}));
    const uint64_t held = s.last_request();
    s.step(inputs::stop{});
    ASSERT_EQ(s.out.replies.size(), 1u);
    EXPECT_EQ(s.out.replies.front().request, held);
    EXPECT_FALSE(s.out.replies.front().msg);
    s.receive(append(1, 2, 0, 0, 0));
    EXPECT_TRUE(s.dropped());
}

}  // namespace
}  // namespace rules
