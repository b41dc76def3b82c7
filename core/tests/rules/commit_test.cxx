#include "fixture.hxx"

// What a leader may count as committed, and who hears of it: Raft 5.3, 5.4.2; § 15, 21.2.

namespace rules {
namespace {

// Raft 5.3: committed when a majority has it on disk, ours included only when ours is.
TEST(commit, majority_commits) {
    server s;
    s.lead();
    s.propose();
    const uint64_t index = s.core->last_log_index();
    const outgoing to_two = s.one_to(2);
    s.durable();
    EXPECT_LT(s.core->commit_index(), index) << "one of three";
    s.accept(to_two);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), index);
}

// § 21.2: other servers may be faster than the leader's own disk.
TEST(commit, majority_without_the_leaders_disk_commits) {
    server s;
    s.lead();
    s.propose();
    const uint64_t index = s.core->last_log_index();
    const outgoing to_two = s.one_to(2);
    const outgoing to_three = s.one_to(3);
    s.accept(to_two);
    s.answer_question();
    EXPECT_LT(s.core->commit_index(), index) << "one of three: ours is not durable";
    s.accept(to_three);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), index);
}

// Raft 5.4.2, figure 8; B13: entries of earlier terms commit only with one of the own term.
TEST(commit, earlier_terms_do_not_commit_by_counting) {
    setup figure_8;
    figure_8.params.max_append_size_ = 1;
    server s(figure_8.with_log({1, 2}).in_term(3));
    s.become_leader();
    ASSERT_EQ(s.core->term(), 4u);
    const std::vector<outgoing> first = s.sent(2);
    s.persist();
    // The follower has entry 2 of term 2, and not yet the leader's own entry 3.
    s.answer(first.front(), 4, 2, false);
    ASSERT_EQ(s.sent(2).size(), 1u);
    s.accept(s.one_to(2));
    EXPECT_FALSE(s.out.question) << "entry 2 is on a majority, but of an earlier term";
    EXPECT_EQ(s.core->commit_index(), 0u);
    ASSERT_EQ(s.sent(2).size(), 1u);
    s.accept(s.one_to(2));
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), 3u);
}

// § 15.2, B20: the program may hold a commit back, and cannot run ahead of the quorum.
TEST(commit, program_may_hold_a_commit_back_only) {
    server s;
    s.lead();
    s.propose("a");
    const outgoing to_two = s.one_to(2);
    s.propose("b");
    s.durable();
    const uint64_t before = s.core->commit_index();
    s.accept(to_two);
    ASSERT_TRUE(s.out.question);
    EXPECT_EQ(s.out.question->current, before);
    EXPECT_EQ(s.out.question->expected, before + 1);
    EXPECT_EQ(s.out.question->indexes.size(), 3u);
    s.step(inputs::commit_answer{before + 2});
    EXPECT_LE(s.core->commit_index(), before + 1) << "entry b is on one server of three";
    server t;
    t.lead();
    t.propose("a");
    const outgoing also = t.one_to(2);
    t.durable();
    t.accept(also);
    ASSERT_TRUE(t.out.question);
    t.step(inputs::commit_answer{t.out.question->current});
    EXPECT_EQ(t.core->commit_index(), before);
}

// § 15.4: followers hear of a commit at once, not at the next heartbeat.
TEST(commit, commit_is_announced_promptly) {
    server s;
    s.lead();
    s.propose();
    const outgoing to_two = s.one_to(2);
    const outgoing to_three = s.one_to(3);
    s.durable();
    s.accept(to_two);
    s.answer_question();
    ASSERT_EQ(s.sent(2).size(), 1u);
    EXPECT_EQ(s.one_to(2).msg->get_commit_idx(), s.core->commit_index());
    EXPECT_TRUE(s.sent(3).empty()) << "busy";
    s.accept(to_three);
    ASSERT_EQ(s.sent(3).size(), 1u) << "told as soon as it is free";
    EXPECT_EQ(s.one_to(3).msg->get_commit_idx(), s.core->commit_index());
}

// B41: only a leader commits by counting, whatever its quorum.
TEST(commit, follower_with_quorum_of_one_commits_nothing) {
    setup one;
    one.params.custom_commit_quorum_size_ = 1;
    server s(one.with_log({1, 1}));
    s.step(inputs::log_durable{2, 0});
    s.step(inputs::replicate{});
    EXPECT_EQ(s.core->commit_index(), 0u);
    EXPECT_FALSE(s.out.question);
}

// § 40.22.
TEST(commit, commit_quorum_of_one_commits_alone) {
    setup one;
    one.config = config_of({1, 2});
    one.params.custom_commit_quorum_size_ = 1;
    server s(one);
    s.become_leader();
    s.persist();
    EXPECT_EQ(s.core->commit_index(), 1u);
}

// § 39.18: learners hold copies, but nothing is committed by them.
TEST(commit, learners_do_not_count) {
    setup learners;
    learners.config = config_of({1, 2, 3});
    learners.config->get_server(3)->set_learner(true);
    server s(learners);
    s.become_leader();
    const outgoing to_voter = s.one_to(2);
    const outgoing to_learner = s.one_to(3);
    s.persist();
    s.accept(to_learner);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), 0u);
    s.accept(to_voter);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), 1u);
}

}  // namespace
}  // namespace rules
