#include <map>

#include "fixture.hxx"

// Whose majorities decide while the voters change (decisive_configs): Raft section 6, § 15, 25.5,
// 26, B36.

namespace rules {
namespace {

/// The leader asks a member to leave, which agrees; `s.out` is that of the step that removes it.
void agree_to_leave(server& s, int32_t id) {
    inputs::remove_server in;
    in.server = id;
    s.step(in);
    s.answer(s.one_to(id), s.core->term(), 2, true);
    ASSERT_TRUE(s.out.write);
}

/// A server that uses `active` and has stored these configurations from 1 on, none of them known
/// to be committed.
std::unique_ptr<server> with_pending(const std::vector<int32_t>& active,
                                     const std::vector<std::vector<int32_t>>& pending) {
    setup with;
    with.config = config_of(active);
    auto s = std::make_unique<server>(with);
    std::vector<ptr<log_entry>> entries;
    for (const std::vector<int32_t>& ids : pending) {
        entries.push_back(conf(1, config_of(ids, entries.size() + 1)));
    }
    s->receive(append(1, 2, 0, 0, 0, entries));
    s->persist();
    return s;
}

/// It asks all voters that it knows at once; by whom.
std::map<int32_t, outgoing> campaign(server& s) {
    s.receive(notification(1, 2, 2));  // Take over.
    std::map<int32_t, outgoing> asked;
    for (const outgoing& v : s.sent(msg_type::request_vote_request)) asked[v.peer] = v;
    return asked;
}

// Two removals in a row must not be lost to a follower that has not heard of the first: a removal
// needs a majority of the old members as well.
TEST(decision, removal_needs_a_majority_of_the_old_members) {
    setup four;
    four.config = config_of({1, 2, 3, 4});
    server s(four);
    s.lead();
    agree_to_leave(s, 4);
    const uint64_t removal = s.out.write->first;
    const outgoing to_two = s.one_to(2);
    const outgoing to_three = s.one_to(3);
    s.store();
    s.durable();
    s.accept(to_two);
    s.answer_question();
    EXPECT_LT(s.core->commit_index(), removal) << "2 of the remaining 3, but only 2 of the old 4";
    s.accept(to_three);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), removal);
}

// Raft section 6: "a server always uses the latest configuration in its log". Here beside the
// active one, and where it lacks a voter: two that were removed must not elect each other.
TEST(decision, elections_need_the_majority_of_a_removal_in_the_log_too) {
    const auto s = with_pending({1, 2, 3, 4, 5}, {{1, 2, 3, 4}});
    ASSERT_TRUE(s->core->config_in_progress());
    const std::map<int32_t, outgoing> votes = campaign(*s);
    ASSERT_EQ(votes.size(), 4u);
    s->answer(votes.at(5), s->core->term(), 1, true);
    s->answer(votes.at(2), s->core->term(), 1, true);
    EXPECT_EQ(s->core->role(), srv_role::candidate) << "3 of 5, but only 2 of the remaining 4";
    s->answer(votes.at(3), s->core->term(), 1, true);
    EXPECT_EQ(s->core->role(), srv_role::leader);
}

// § 25.5: an addition is decided by the old members, so it does not hold up elections among them.
TEST(decision, elections_do_not_wait_for_an_added_server) {
    const auto s = with_pending({1, 2, 3}, {{1, 2, 3, 4}});
    const std::map<int32_t, outgoing> votes = campaign(*s);
    s->answer(votes.at(2), s->core->term(), 1, true);
    EXPECT_EQ(s->core->role(), srv_role::leader) << "2 of 3; of 4 it would not do";
}

// A second addition behind the first shows that the first is committed: the four may have
// committed more since.
TEST(decision, elections_need_every_change_that_another_follows) {
    const auto s = with_pending({1, 2, 3}, {{1, 2, 3, 4}, {1, 2, 3, 4, 5}});
    const std::map<int32_t, outgoing> votes = campaign(*s);
    s->answer(votes.at(2), s->core->term(), 1, true);
    EXPECT_EQ(s->core->role(), srv_role::candidate) << "2 of 3, but only 2 of 4";
    s->answer(votes.at(3), s->core->term(), 1, true);
    EXPECT_EQ(s->core->role(), srv_role::leader);
}

// The same configurations again, as a new leader writes them, change nothing.
TEST(decision, repeated_configurations_ask_nobody_else) {
    const auto s = with_pending({1, 2, 3}, {{1, 2, 3}, {1, 2, 3, 4}, {1, 2, 3, 4}});
    const std::map<int32_t, outgoing> votes = campaign(*s);
    s->answer(votes.at(2), s->core->term(), 1, true);
    EXPECT_EQ(s->core->role(), srv_role::leader);
}

// A new leader that inherits changes commits by the majorities that elect it.
TEST(decision, inherited_changes_are_committed_by_all_their_majorities) {
    const auto s = with_pending({1, 2, 3, 4, 5}, {{1, 2, 3, 4}, {1, 2, 3}});
    const std::map<int32_t, outgoing> votes = campaign(*s);
    for (int32_t voter : {2, 3}) s->answer(votes.at(voter), s->core->term(), 1, true);
    ASSERT_EQ(s->core->role(), srv_role::leader);
    const outgoing to_two = s->one_to(2);
    s->persist();
    for (int32_t peer : {4, 5}) {
        s->answer(votes.at(peer), s->core->term(), 1, false);  // Late, but it frees the line.
        s->heartbeat(peer);
        s->accept(s->one_to(peer));
        s->answer_question();
    }
    EXPECT_EQ(s->core->commit_index(), 0u) << "3 of 5, but only 2 of 4 and 1 of 3";
    s->accept(to_two);
    s->answer_question();
    EXPECT_EQ(s->core->commit_index(), 3u);
}

// A learner that leaves changes no majority: our own disk counts on.
TEST(decision, leaving_learner_decides_nothing) {
    setup with;
    with.config = config_of({1, 2});
    with.config->get_server(2)->set_learner(true);
    server s(with);
    s.lead();
    agree_to_leave(s, 2);
    const uint64_t removal = s.out.write->first;
    s.store();
    EXPECT_LT(s.core->commit_index(), removal) << "not on any disk";
    s.durable();
    EXPECT_EQ(s.core->commit_index(), removal);
}

// Two servers, and the one that leads is removed: it leads until the other knows, which without
// the news would need its vote.
TEST(decision, removed_leader_leads_until_the_others_know) {
    const auto s = with_pending({1, 2}, {{2}});
    const std::map<int32_t, outgoing> votes = campaign(*s);
    s->answer(votes.at(2), s->core->term(), 1, true);
    ASSERT_EQ(s->core->role(), srv_role::leader);
    const outgoing first = s->one_to(2);
    s->persist();
    s->accept(first);
    s->answer_question();
    ASSERT_EQ(s->core->commit_index(), 2u);
    EXPECT_EQ(s->core->role(), srv_role::leader);
    const outgoing news = s->one_to(2);
    EXPECT_EQ(news.msg->get_commit_idx(), 2u);
    s->accept(news);
    EXPECT_EQ(s->core->role(), srv_role::follower);
    EXPECT_TRUE(s->noticed(notice::removed_from_cluster));
}

// The same, and it loses leadership before the other knows: it can still be elected, until another
// leader confirms that it is removed.
TEST(decision, removed_leader_that_told_nobody_stays_a_voter) {
    const auto s = with_pending({1, 2}, {{2}});
    const std::map<int32_t, outgoing> votes = campaign(*s);
    s->answer(votes.at(2), s->core->term(), 1, true);
    const outgoing first = s->one_to(2);
    s->persist();
    s->accept(first);
    s->answer_question();
    ASSERT_EQ(s->core->commit_index(), 2u);
    s->step(inputs::yield{true, -1});
    s->durable();
    EXPECT_TRUE(s->core->config()->get_server(1)) << "still";
    s->election_timeout();
    EXPECT_EQ(s->core->role(), srv_role::candidate);
    s->receive(append(9, 2, 2, s->core->term(), 2));
    EXPECT_FALSE(s->core->config()->get_server(1));
    EXPECT_TRUE(s->noticed(notice::removed_from_cluster));
}

// The same after a restart, with the removal applied: what it waits for is not forgotten, and a
// candidate still asks for the majority of those who stay.
TEST(decision, removal_that_waits_is_known_after_a_restart) {
    setup five;
    five.config = config_of({1, 2, 3, 4, 5});
    five.configs[2] = config_of({2, 3, 4, 5}, 2);
    five.with_log({1, 1});
    five.commit = 2;
    server s(five);
    EXPECT_TRUE(s.core->config_in_progress());
    const std::map<int32_t, outgoing> votes = campaign(s);
    s.answer(votes.at(4), s.core->term(), 1, true);
    s.answer(votes.at(5), s.core->term(), 1, true);
    EXPECT_EQ(s.core->role(), srv_role::candidate) << "3 of 5, but only 2 of the remaining 4";
    s.answer(votes.at(2), s.core->term(), 1, true);
    EXPECT_EQ(s.core->role(), srv_role::leader);
}

// A crash between the commit of a configuration and its activation, which waits for nothing now.
TEST(decision, committed_configuration_is_active_after_a_restart) {
    setup three;
    three.configs[2] = config_of({1, 2, 3, 4}, 2);
    three.with_log({1, 1});
    three.commit = 2;
    server s(three);
    EXPECT_EQ(s.core->config()->get_log_idx(), 2u);
    ASSERT_TRUE(s.out.save_config);
    EXPECT_EQ(s.out.save_config->get_log_idx(), 2u);
}

}  // namespace
}  // namespace rules
