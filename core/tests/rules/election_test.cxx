#include "fixture.hxx"

// Elections: Raft 5.2, 5.4.1; dissertation 9.6; § 4-8.

namespace rules {
namespace {

// § 2.2, 4.1: the timer is drawn from [lower, upper], anew for each arming.
TEST(election, timer_is_random_between_the_bounds) {
    server s;
    std::set<int32_t> seen;
    for (int i = 0; i < 50; ++i) {
        s.receive(append(1, 2, 0, 0, 0));
        const int32_t delay = s.armed(timer_kind::election);
        EXPECT_GE(delay, 200);
        EXPECT_LE(delay, 400);
        seen.insert(delay);
    }
    EXPECT_GT(seen.size(), 5u);
}

// § 4.3: a run before the lower bound has passed changes nothing but the timer.
TEST(election, early_timeout_is_ignored) {
    server s;
    s.now += 150;
    s.step(inputs::timer_fired{timer_kind::election, -1});
    EXPECT_EQ(s.core->role(), srv_role::follower);
    EXPECT_TRUE(s.out.send.empty());
    EXPECT_GE(s.armed(timer_kind::election), 200);
}

// § 6.1: the round asks every voter with the present term and saves nothing (§ 39.20).
TEST(election, pre_vote_asks_with_the_present_term_and_saves_nothing) {
    server s(setup().with_log({1, 1, 2}).in_term(3));
    s.election_timeout();
    EXPECT_EQ(s.core->role(), srv_role::candidate);
    EXPECT_EQ(s.core->term(), 3u);
    EXPECT_FALSE(s.out.save);
    EXPECT_EQ(s.core->leader(), -1);
    ASSERT_EQ(s.sent(msg_type::pre_vote_request).size(), 2u);
    const req_msg& msg = *s.out.send.front().msg;
    EXPECT_EQ(msg.get_term(), 3u);
    EXPECT_EQ(msg.get_last_log_idx(), 3u);
    EXPECT_EQ(msg.get_last_log_term(), 2u);
}

// § 40.6: success leads to the vote in the same step, with term + 1, saved before it is sent.
TEST(election, pre_vote_success_starts_the_vote_at_once) {
    server s(setup().in_term(3));
    s.election_timeout();
    const outgoing first = s.sent(msg_type::pre_vote_request).front();
    s.answer(first, 3, 1, true);
    ASSERT_TRUE(s.out.save);
    EXPECT_EQ(s.out.save->term, 4u);
    EXPECT_EQ(s.out.save->voted_for, 1);
    ASSERT_FALSE(s.sent(msg_type::request_vote_request).empty());
    EXPECT_EQ(s.sent(msg_type::request_vote_request).front().msg->get_term(), 4u);
}

// § 6.4: one server's rejection is not a quorum's grant.
TEST(election, rejected_pre_vote_starts_no_vote) {
    server s(setup().in_term(3));
    s.election_timeout();
    for (const outgoing& o : s.sent(msg_type::pre_vote_request)) s.answer(o, 3, 0, false);
    EXPECT_EQ(s.core->term(), 3u);
    EXPECT_EQ(s.core->role(), srv_role::candidate);
}

// § 6.4: answers of another term do not count.
TEST(election, pre_vote_answers_of_another_term_do_not_count) {
    server s(setup().in_term(3));
    s.election_timeout();
    for (const outgoing& o : s.sent(msg_type::pre_vote_request)) s.answer(o, 2, 1, true);
    EXPECT_EQ(s.core->term(), 3u);
}

// B8: each server counts once, however often it answers.
TEST(election, votes_are_counted_by_server) {
    setup five;
    five.config = config_of({1, 2, 3, 4, 5});
    server s(five.in_term(1));
    s.election_timeout();
    const std::vector<outgoing> asked = s.sent(msg_type::pre_vote_request);
    ASSERT_EQ(asked.size(), 4u);
    s.answer(asked[0], 1, 1, true);
    s.answer(asked[0], 1, 1, true);
    EXPECT_EQ(s.core->term(), 1u) << "one grant, answered twice, is not two grants";
    s.answer(asked[1], 1, 1, true);
    EXPECT_EQ(s.core->term(), 2u);
    const std::vector<outgoing> votes = s.sent(msg_type::request_vote_request);
    ASSERT_FALSE(votes.empty());
    s.answer(votes[0], 2, 1, true);
    s.answer(votes[0], 2, 1, true);
    EXPECT_EQ(s.core->role(), srv_role::candidate);
}

// § 6.4, 26.5: a quorum of strong rejections means that this server was removed.
TEST(election, strong_rejections_by_a_quorum_mean_removal) {
    server s(setup().in_term(3));
    s.election_timeout();
    const std::vector<outgoing> asked = s.sent(msg_type::pre_vote_request);
    s.answer(asked[0], 3, all_ones, false);
    EXPECT_FALSE(s.noticed(notice::removed_from_cluster));
    s.answer(asked[1], 3, all_ones, false);
    EXPECT_TRUE(s.noticed(notice::removed_from_cluster));
    // Two more timeouts, then silence that lasts (§ 40.43).
    s.election_timeout();
    EXPECT_TRUE(s.out.send.empty());
    s.election_timeout();
    ASSERT_TRUE(s.out.save);
    EXPECT_FALSE(s.out.save->election_timer_allowed);
    EXPECT_EQ(s.armed(timer_kind::election), -1);
}

// § 6.2, 6.3: a server that hears a leader rejects; a stranger is told that it is one.
TEST(election, live_leader_rejects_pre_votes) {
    server s(setup().in_term(1));
    s.receive(append(1, 2, 0, 0, 0));
    s.now += 100;
    s.receive(pre_vote(1, 3));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.reply().get_next_idx(), 0u);
    s.receive(pre_vote(1, 9));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.reply().get_next_idx(), all_ones);
    EXPECT_FALSE(s.out.save);
}

// § 6.2: silence for longer than the lower bound is enough, even if the own timer still runs.
TEST(election, silence_beyond_the_lower_bound_grants_pre_votes) {
    server s(setup().with_log({1}));
    s.receive(append(1, 2, 0, 0, 0));
    s.now += 201;
    s.receive(pre_vote(7, 3));
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_EQ(s.reply().get_next_idx(), 2u);
    EXPECT_EQ(s.reply().get_term(), 7u) << "the answer carries the requester's term";
    EXPECT_EQ(s.core->term(), 1u);
    EXPECT_TRUE(s.out.timers.empty());
}

// B8: a leader always answers that it lives, also before its first heartbeat.
TEST(election, leader_rejects_pre_votes) {
    server s;
    s.become_leader();
    s.now += 5000;
    s.receive(pre_vote(1, 3));
    EXPECT_FALSE(s.reply().get_accepted());
}

// § 40.10: a joining server grants.
TEST(election, joining_server_grants_pre_votes) {
    setup joining;
    joining.state.catching_up = true;
    server s(joining.in_term(1));
    s.receive(append(1, 2, 0, 0, 0));
    setup alone;
    alone.state.catching_up = true;
    alone.config = config_of({2, 3});
    server j(alone.in_term(1));
    j.receive(append(1, 2, 0, 0, 0));
    j.receive(pre_vote(1, 3));
    EXPECT_TRUE(j.reply().get_accepted());
}

// Raft figure 2, RequestVote 2; § 7.2: first come, first served, and saved with the answer.
TEST(election, vote_is_saved_before_it_is_given) {
    server s(setup().with_log({1, 1}));
    s.receive(vote(2, 3, 2, 1));
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_EQ(s.reply().get_term(), 2u);
    ASSERT_TRUE(s.out.save) << "saved in the same effects as the answer, hence before it";
    EXPECT_EQ(s.out.save->term, 2u);
    EXPECT_EQ(s.out.save->voted_for, 3);
}

// Raft 5.2: one vote in a term; the same candidate may ask again.
TEST(election, one_vote_in_a_term) {
    server s(setup().with_log({1}).in_term(2, 3));
    s.receive(vote(2, 2, 9, 1));
    EXPECT_FALSE(s.reply().get_accepted());
    s.receive(vote(2, 3, 1, 1));
    EXPECT_TRUE(s.reply().get_accepted());
}

// Raft 5.4.1: "the voter denies its vote if its own log is more up-to-date".
TEST(election, no_vote_for_an_older_log) {
    server shorter(setup().with_log({1, 1, 1}));
    shorter.receive(vote(2, 3, 2, 1));
    EXPECT_FALSE(shorter.reply().get_accepted());
    server older(setup().with_log({1, 2}));
    older.receive(vote(3, 3, 9, 1));
    EXPECT_FALSE(older.reply().get_accepted()) << "a longer log of an older last term is older";
    EXPECT_EQ(older.core->term(), 3u) << "the term is adopted all the same";
    server newer(setup().with_log({1, 2}));
    newer.receive(vote(4, 3, 1, 3));
    EXPECT_TRUE(newer.reply().get_accepted()) << "a shorter log of a newer last term is newer";
}

// B9: a log emptied by a snapshot ends where the snapshot ends.
TEST(election, freshness_of_an_emptied_log_is_its_snapshots) {
    setup compacted;
    compacted.with_log({1, 1, 2, 2, 2});
    compacted.log_start = 6;
    compacted.commit = 5;
    compacted.last_snapshot = snapshot_at(5, 2);
    server s(compacted);
    s.receive(vote(3, 3, 4, 2));
    EXPECT_FALSE(s.reply().get_accepted());
    s.receive(vote(4, 3, 9, 1));
    EXPECT_FALSE(s.reply().get_accepted());
    s.receive(vote(5, 3, 5, 2));
    EXPECT_TRUE(s.reply().get_accepted());
}

// Raft 5.1: a request of an older term is refused.
TEST(election, vote_of_an_old_term_is_refused) {
    server s(setup().in_term(5));
    s.receive(vote(4, 3, 9, 4));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.reply().get_term(), 5u);
    EXPECT_FALSE(s.out.save);
}

// Raft 5.1, § 3.3: a higher term makes leaders and candidates followers, and is saved.
TEST(election, higher_term_is_adopted) {
    server s;
    s.become_leader();
    const uint64_t term = s.core->term();
    s.receive(vote(term + 5, 3, 0, 0));
    EXPECT_EQ(s.core->role(), srv_role::follower);
    EXPECT_EQ(s.core->term(), term + 5);
    ASSERT_TRUE(s.out.save);
    EXPECT_EQ(s.out.save->term, term + 5);
    EXPECT_TRUE(s.noticed(notice::became_follower));
}

// § 3.3: an answer of a higher term is adopted, and nothing else is done with it.
TEST(election, higher_term_in_an_answer_is_adopted) {
    server s;
    s.become_leader();
    const outgoing sent = s.one_to(2);
    s.answer(sent, 9, 99, true);
    EXPECT_EQ(s.core->role(), srv_role::follower);
    EXPECT_EQ(s.core->term(), 9u);
    EXPECT_EQ(s.core->commit_index(), 0u);
}

// Raft 5.2: a majority of votes makes a leader; less does not.
TEST(election, majority_of_votes_makes_a_leader) {
    setup five;
    five.config = config_of({1, 2, 3, 4, 5});
    server s(five);
    s.election_timeout();
    const std::vector<outgoing> asked = s.sent(msg_type::pre_vote_request);
    s.answer(asked[0], 0, 1, true);
    s.answer(asked[1], 0, 1, true);
    const std::vector<outgoing> votes = s.sent(msg_type::request_vote_request);
    ASSERT_GE(votes.size(), 2u);
    s.answer(votes[0], 1, 1, true);
    EXPECT_EQ(s.core->role(), srv_role::candidate);
    s.answer(votes[1], 1, 1, true);
    EXPECT_EQ(s.core->role(), srv_role::leader);
    EXPECT_TRUE(s.noticed(notice::became_leader));
    EXPECT_EQ(s.armed(timer_kind::election), -1);
}

// B10: votes that arrive when the election is over change nothing.
TEST(election, late_votes_are_ignored) {
    server s;
    s.election_timeout();
    s.answer(s.sent(msg_type::pre_vote_request).front(), 0, 1, true);
    const std::vector<outgoing> votes = s.sent(msg_type::request_vote_request);
    s.receive(append(1, 2, 0, 0, 0));
    EXPECT_EQ(s.core->role(), srv_role::follower);
    for (const outgoing& o : votes) s.answer(o, 1, 1, true);
    EXPECT_EQ(s.core->role(), srv_role::follower);
}

// § 8.1, 39.7: the first entry of a leader is a configuration of its own term.
TEST(election, leaders_first_entry_is_a_configuration_of_its_term) {
    server s(setup().with_log({1, 1}));
    s.become_leader();
    ASSERT_TRUE(s.out.write);
    ASSERT_EQ(s.out.write->entries.size(), 1u);
    const ptr<log_entry>& first = s.out.write->entries.front();
    EXPECT_EQ(s.out.write->first, 3u);
    EXPECT_EQ(first->get_val_type(), log_val_type::conf);
    EXPECT_EQ(first->get_term(), s.core->term());
    EXPECT_EQ(config_in(first)->get_log_idx(), 3u);
    EXPECT_EQ(s.core->index_at_becoming_leader(), 3u);
    EXPECT_TRUE(s.core->config_in_progress());
}

// § 40.1: a cluster of one elects itself without asking anybody, and commits its first entry.
TEST(election, single_server_elects_itself) {
    setup alone;
    alone.config = config_of({1});
    server s(alone);
    s.election_timeout();
    EXPECT_EQ(s.core->role(), srv_role::leader);
    EXPECT_TRUE(s.out.send.empty());
    ASSERT_TRUE(s.out.save);
    EXPECT_EQ(s.out.save->voted_for, 1);
    EXPECT_EQ(s.core->commit_index(), 0u) << "not durable yet";
    s.persist();
    EXPECT_EQ(s.core->commit_index(), 1u);
}

// § 40.2: a passive server never leads, also after a restart, until a leader speaks to it.
TEST(election, passive_server_stays_passive) {
    setup passive;
    passive.state.election_timer_allowed = false;
    server s(passive);
    EXPECT_EQ(s.armed(timer_kind::election), -2);
    s.receive(vote(1, 2, 0, 0));
    EXPECT_FALSE(s.core->state().election_timer_allowed) << "a stray term must not wake it (B4)";
    s.receive(append(1, 2, 0, 0, 0));
    EXPECT_TRUE(s.core->state().election_timer_allowed);
    EXPECT_GE(s.armed(timer_kind::election), 200);
}

// § 2.2: the wish to be passive is saved.
TEST(election, skipping_the_first_timeout_is_saved) {
    setup plain;
    memory_log log;
    recovered from;
    from.config = plain.config;
    raft core(settings{1, plain.params, plain.limits}, 1, log, from);
    effects out;
    core.step(0, inputs::start{true}, out);
    ASSERT_TRUE(out.save);
    EXPECT_FALSE(out.save->election_timer_allowed);
    EXPECT_TRUE(out.timers.empty());
}

// § 25.7, 40.41: a learner neither campaigns nor is asked.
TEST(election, learners_take_no_part) {
    setup one_learner;
    one_learner.config->get_server(3)->set_learner(true);
    server voter(one_learner);
    voter.election_timeout();
    EXPECT_EQ(voter.sent(2).size(), 1u);
    EXPECT_TRUE(voter.sent(3).empty());
    setup myself;
    myself.config->get_server(1)->set_learner(true);
    server learner(myself);
    learner.election_timeout();
    EXPECT_TRUE(learner.out.send.empty());
    EXPECT_EQ(learner.core->role(), srv_role::follower);
}

// § 39.19: no vote by a server that is catching up or receiving a snapshot.
TEST(election, half_filled_servers_do_not_campaign) {
    setup receiving;
    receiving.state.receiving_snapshot = true;
    server r(receiving);
    r.election_timeout();
    EXPECT_TRUE(r.out.send.empty());
    EXPECT_GE(r.armed(timer_kind::election), 200) << "it asks again later";
    setup joining;
    joining.config = config_of({2, 3});
    joining.state.catching_up = true;
    server j(joining);
    j.election_timeout();
    EXPECT_TRUE(j.out.send.empty());
}

// § 5.4, 40.8: a server below the target priority does not ask.
TEST(election, low_priority_waits) {
    setup ranked;
    ranked.config->get_server(1)->set_priority(1);
    ranked.config->get_server(2)->set_priority(100);
    server s(ranked.in_term(1));
    s.receive(append(1, 2, 0, 0, 0));
    s.election_timeout();
    EXPECT_TRUE(s.sent(msg_type::pre_vote_request).empty());
    EXPECT_EQ(s.core->role(), srv_role::candidate);
    int rounds = 1;
    while (s.sent(msg_type::pre_vote_request).empty() && rounds < 20) {
        s.election_timeout();
        ++rounds;
    }
    EXPECT_GT(rounds, 3) << "the target falls step by step (§ 5.3)";
    EXPECT_LT(rounds, 20) << "and reaches this server in the end";
}

// § 5.3: tiered decay falls by one tier for each failed round.
TEST(election, tiered_decay_goes_tier_by_tier) {
    setup ranked;
    ranked.params.priority_decay_method_ = raft_params::tiered_decay;
    ranked.config->get_server(1)->set_priority(10);
    ranked.config->get_server(2)->set_priority(100);
    ranked.config->get_server(3)->set_priority(50);
    server s(ranked.in_term(1));
    s.receive(append(1, 2, 0, 0, 0));
    s.election_timeout();
    EXPECT_TRUE(s.sent(msg_type::pre_vote_request).empty()) << "target 100";
    s.election_timeout();
    EXPECT_TRUE(s.sent(msg_type::pre_vote_request).empty()) << "target 50";
    s.election_timeout();
    EXPECT_FALSE(s.sent(msg_type::pre_vote_request).empty()) << "target 10";
}

// § 7.3: voters refuse a candidate below their target; a forced vote is not asked for priority.
TEST(election, voters_mind_priority_unless_forced) {
    setup ranked;
    ranked.config->get_server(2)->set_priority(100);
    ranked.config->get_server(3)->set_priority(1);
    server s(ranked.in_term(1));
    s.receive(append(1, 2, 0, 0, 0));
    s.receive(vote(2, 3, 0, 0));
    EXPECT_FALSE(s.reply().get_accepted());
    s.receive(vote(3, 3, 0, 0, true));
    EXPECT_TRUE(s.reply().get_accepted());
    server t(ranked.in_term(1));
    t.receive(append(1, 2, 0, 0, 0));
    t.receive(vote(2, 2, 0, 0));
    EXPECT_TRUE(t.reply().get_accepted());
}

// A server whose own timer is off hears nobody all the same, and does not hold its bar for ever.
TEST(election, passive_voter_lowers_its_bar_too) {
    setup ranked;
    ranked.config->get_server(2)->set_priority(100);
    ranked.config->get_server(3)->set_priority(1);
    server s(ranked.in_term(1));
    s.receive(append(1, 2, 0, 0, 0));
    bool granted = false;
    for (uint64_t term = 2; term < 40 && !granted; ++term) {
        s.now += 500;
        s.receive(vote(term, 3, 0, 0));
        granted = s.reply().get_accepted();
    }
    EXPECT_TRUE(granted);
}

// § 5.4: a server of priority zero leads only if nobody else could for twenty heartbeats, and
// then wants to hand over at once (§ 8.2).
TEST(election, zero_priority_is_for_emergencies) {
    setup zero;
    zero.config->get_server(1)->set_priority(0);
    server s(zero);
    s.election_timeout();
    EXPECT_TRUE(s.sent(msg_type::pre_vote_request).empty());
    s.now += 20 * 100 + 1;
    s.election_timeout();
    ASSERT_FALSE(s.sent(msg_type::pre_vote_request).empty());
    s.answer(s.sent(msg_type::pre_vote_request).front(), 0, 1, true);
    s.answer(s.sent(msg_type::request_vote_request).front(), 1, 1, true);
    EXPECT_EQ(s.core->role(), srv_role::leader);
    EXPECT_TRUE(s.noticed(notice::resign_wanted));
}

// § 3.2: what was saved is what a restarted server goes by.
TEST(election, vote_survives_a_restart) {
    setup s;
    server before(s.in_term(4));
    before.receive(vote(5, 2, 0, 0));
    ASSERT_TRUE(before.reply().get_accepted());
    setup again;
    again.state = *before.out.save;
    server after(again);
    after.receive(vote(5, 3, 0, 0));
    EXPECT_FALSE(after.reply().get_accepted());
    after.receive(vote(5, 2, 0, 0));
    EXPECT_TRUE(after.reply().get_accepted());
}

// B3: a server known to have been removed gets neither a vote nor its term adopted.
TEST(election, removed_servers_get_no_votes) {
    server s;
    s.receive(append(1, 2, 0, 0, 1, {conf(1, config_of({1, 2}, 1))}));
    s.persist();
    ASSERT_EQ(s.core->config()->get_log_idx(), 1u);
    s.receive(vote(9, 3, 9, 9));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.core->term(), 1u);
    s.receive(vote(9, 8, 9, 9));
    EXPECT_TRUE(s.reply().get_accepted()) << "one merely unknown may be new";
}

// § 40.4: with a live leader nobody's term changes because of another's timer.
TEST(election, pre_vote_of_a_cut_off_server_disturbs_nobody) {
    server s;
    s.lead();
    const uint64_t term = s.core->term();
    s.receive(pre_vote(term, 3));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.core->role(), srv_role::leader);
    EXPECT_EQ(s.core->term(), term);
}

}  // namespace
}  // namespace rules
