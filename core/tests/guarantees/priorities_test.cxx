#include "guarantees/guarantee.hxx"

// Who may stand for election: guarantees 8 to 11 and 14.

namespace nuraft {
namespace test {

namespace {

/// Server 1 has led, so that everybody aims at the highest priority, and is gone now.
void lead_and_leave(stepped_cluster& cluster, const raft_params& p = stepped_params()) {
    cluster.lead(p);
    cluster.beat(1);
    cluster.network->isolate(1, true);
    cluster.network->forget_sent();
}

/// Is a vote for `from` granted, in the term after the voter's and with a log like the voter's?
bool grants_next_term(stepped_cluster& cluster, int32 from, int32 to) {
    raft_server& voter = cluster.server(to);
    req_msg vote(voter.get_term() + 1, msg_type::request_vote_request, from, to,
                 voter.get_last_log_term(), voter.get_last_log_idx(), 0);
    ptr<resp_msg> resp = cluster.network->deliver(cluster.node(to).endpoint, vote);
    return resp && resp->get_accepted();
}

}  // namespace

TEST(guarantee, g08a_lower_priority_is_refused_until_the_target_has_decayed) {
    // Server 2 never stands itself, so that its target decays without a campaign of its own.
    stepped_cluster cluster({server_of(1, 100), server_of(2, 0), server_of(3, 50)});
    lead_and_leave(cluster);

    cluster.timeout(3);
    cluster.timeout(3);
    EXPECT_EQ(0, cluster.network->sent(3, msg_type::pre_vote_request)) << "100, then 80";
    ASSERT_TRUE(eventually("server 3 to ask for votes", [&] {
        cluster.timeout(3);
        return cluster.network->sent(3, msg_type::request_vote_request) > 0;
    }));
    EXPECT_FALSE(cluster.server(3).is_leader()) << "server 2 aims at 100 still";

    for (int i = 0; i < 8; ++i) cluster.timeout(2);
    EXPECT_TRUE(cluster.elect(3));
    EXPECT_EQ(0, cluster.network->sent(2, msg_type::request_vote_request));
}

TEST(guarantee, g08b_equal_priorities_are_plain_raft) {
    stepped_cluster cluster({server_of(1, 7), server_of(2, 7), server_of(3, 7)});
    lead_and_leave(cluster);
    EXPECT_TRUE(grants_next_term(cluster, 3, 2)) << "before any decay";
    EXPECT_TRUE(cluster.elect(3));
}

TEST(guarantee, g08c_tiered_decay_lowers_the_bar_by_one_tier) {
    raft_params p = stepped_params();
    p.priority_decay_method_ = raft_params::tiered_decay;
    stepped_cluster cluster({server_of(1, 100), server_of(2, 80), server_of(3, 10)});
    lead_and_leave(cluster, p);

    cluster.timeout(3);
    cluster.timeout(3);
    EXPECT_EQ(0, cluster.network->sent(3, msg_type::pre_vote_request)) << "the bar is at 80";
    cluster.timeout(3);
    EXPECT_NE(0, cluster.network->sent(3, msg_type::pre_vote_request)) << "two tiers down";
}

TEST(guarantee, g08d_tiered_decay_keeps_votes_from_two_tiers_down) {
    raft_params p = stepped_params();
    p.priority_decay_method_ = raft_params::tiered_decay;
    stepped_cluster cluster({server_of(1, 100), server_of(2, 80), server_of(3, 10)});
    lead_and_leave(cluster, p);

    // One failed round of the voter; then each request of a new term is one decay.
    cluster.network->isolate(3, true);
    cluster.timeout(2);
    EXPECT_FALSE(grants_next_term(cluster, 3, 2)) << "the bar is at 80";
    EXPECT_TRUE(eventually("the bar at 10", [&] { return grants_next_term(cluster, 3, 2); }));
}

TEST(guarantee, g09_zero_priority_leads_when_nobody_else_can_and_hands_over) {
    constexpr std::chrono::milliseconds heartbeat{10};
    raft_params p = stepped_params();
    p.with_hb_interval(static_cast<int32>(heartbeat.count()));
    stepped_cluster cluster({server_of(1, 100), server_of(2, 1), server_of(3, 0)});
    cluster.lead(p);
    cluster.network->isolate(2, true);
    auto kept = cluster.append(1, "only at 1 and 3");
    ASSERT_TRUE(cluster.beat_until(1, "the commit", [&] { return kept->has_result(); }));
    cluster.beat(1);
    const auto gone_at = std::chrono::steady_clock::now();
    cluster.network->isolate(1, true);
    cluster.network->isolate(2, false);
    cluster.network->forget_sent();

    ASSERT_TRUE(eventually("server 3 to lead", [&] {
        cluster.timeout(3);
        return cluster.count(3, cb_func::BecomeLeader) > 0;
    }));
    EXPECT_GE(std::chrono::steady_clock::now() - gone_at, 20 * heartbeat);
    ASSERT_TRUE(eventually("the hand-over", [&] {
        if (cluster.server(3).is_leader()) cluster.beat(3);
        if (!cluster.server(2).is_leader()) cluster.timeout(3);
        return cluster.server(2).is_leader();
    }));
    EXPECT_TRUE(eventually("what only server 3 had at server 2",
                           [&] { return cluster.node(2).sm->has("only at 1 and 3"); }));
}

TEST(guarantee, g10_server_that_catches_up_grants_and_ignores_priority) {
    stepped_cluster cluster({server_of(1, 100), server_of(2, 10)});
    cluster.lead();
    cluster.add_stranger(3);
    cluster.start(3, stepped_params(), true);
    ASSERT_TRUE(cluster.server(1).add_srv(srv_config(3, "S3"))->get_accepted());
    cluster.network->deliver_requests();  // The invitation.
    ASSERT_TRUE(cluster.server(3).is_catching_up());

    req_msg pre_vote(cluster.server(3).get_term(), msg_type::pre_vote_request, 2, 3, 1, 1, 0);
    ptr<resp_msg> resp = cluster.network->deliver("S3", pre_vote);
    ASSERT_TRUE(resp);
    EXPECT_TRUE(resp->get_accepted());
    req_msg vote(cluster.server(3).get_term() + 1, msg_type::request_vote_request, 2, 3, 9, 9, 0);
    resp = cluster.network->deliver("S3", vote);
    ASSERT_TRUE(resp);
    EXPECT_TRUE(resp->get_accepted());
    EXPECT_FALSE(grants_next_term(cluster, 2, 1)) << "a member minds the priority";
}

TEST(guarantee, g11a_lagging_state_machine_waits_for_the_grace_period) {
    constexpr std::chrono::milliseconds grace{100};
    raft_params p = stepped_params();
    p.grace_period_of_lagging_state_machine_ = static_cast<int32>(grace.count());
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.server(3).pause_state_machine_execution(1000);
    cluster.append(1, "not applied at 3");
    cluster.network->run();
    cluster.beat(1);
    ASSERT_LT(cluster.server(3).get_committed_log_idx(),
              cluster.server(3).get_target_committed_log_idx());
    cluster.network->isolate(1, true);
    const ulong term = cluster.server(3).get_term();

    // Timeouts within the period do not start it again, or this would never end.
    const auto first_timeout = std::chrono::steady_clock::now();
    ASSERT_TRUE(eventually("a vote", [&] {
        cluster.timeout(3);
        return cluster.server(3).get_term() > term;
    }));
    EXPECT_GE(std::chrono::steady_clock::now() - first_timeout, grace);
    EXPECT_TRUE(cluster.server(3).is_leader());
    cluster.server(3).resume_state_machine_execution();
}

TEST(guarantee, g11b_grace_period_does_not_delay_without_a_lag) {
    raft_params p = stepped_params();
    p.grace_period_of_lagging_state_machine_ = 600000;
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.append(1, "a");
    ASSERT_TRUE(cluster.settle(1));
    cluster.network->isolate(1, true);
    EXPECT_TRUE(cluster.elect(3));
}

TEST(guarantee, g14_leadership_shows_once_the_state_machine_has_caught_up) {
    raft_params p = stepped_params();
    p.wait_for_sm_catchup_on_becoming_leader_ = true;
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.server(3).pause_state_machine_execution(1000);
    cluster.append(1, "a");
    cluster.network->run();
    cluster.beat(1);
    cluster.network->isolate(1, true);
    cluster.forget_events();

    ASSERT_TRUE(eventually("the election", [&] {
        cluster.timeout(3);
        return cluster.count(3, cb_func::LeaderSmCatchingUp) > 0;
    }));
    cluster.beat(3);
    EXPECT_FALSE(cluster.server(3).is_leader());
    EXPECT_EQ(0, cluster.count(3, cb_func::BecomeLeader));
    EXPECT_FALSE(cluster.node(3).sm->has("a"));

    cluster.server(3).resume_state_machine_execution();
    EXPECT_TRUE(eventually("leadership", [&] { return cluster.server(3).is_leader(); }));
    EXPECT_TRUE(
        eventually("the news", [&] { return cluster.count(3, cb_func::BecomeLeader) == 1; }));
    EXPECT_TRUE(cluster.node(3).sm->has("a"));
    EXPECT_EQ(1, cluster.count(3, cb_func::LeaderSmCatchingUp));
}

}  // namespace test
}  // namespace nuraft
