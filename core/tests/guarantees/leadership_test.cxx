#include <chrono>

#include "guarantees/guarantee.hxx"

// Losing and handing over leadership: guarantees 48 to 53.

namespace nuraft {
namespace test {

namespace {

using clock = std::chrono::steady_clock;
using milliseconds = std::chrono::milliseconds;

std::vector<ptr<srv_config>> tiered_servers() {
    return {server_of(1, 5), server_of(2, 50), server_of(3, 10)};
}

/// Server 1 leads and has just heard everybody.
void lead_and_hear(stepped_cluster& cluster, const raft_params& p = stepped_params()) {
    cluster.lead(p);
    cluster.beat(1);
}

testing::AssertionResult leads(stepped_cluster& cluster, int32 id) {
    return eventually("server " + std::to_string(id) + " to lead", [&] {
        cluster.network->run();
        return cluster.server(id).is_leader();
    });
}

/// Heartbeats of server 1 until it has not heard server `id` for so long.
testing::AssertionResult silent_for(stepped_cluster& cluster, int32 id, int64 ms) {
    return cluster.beat_until(1, "silence", [&] {
        return cluster.server(1).get_peer_info(id).last_succ_resp_us_ >
               static_cast<ulong>(ms) * 1000;
    });
}

}  // namespace

TEST(guarantee, g48a_yield_prefers_the_highest_priority) {
    stepped_cluster cluster(tiered_servers());
    lead_and_hear(cluster);
    cluster.server(1).yield_leadership();
    EXPECT_TRUE(leads(cluster, 2));
    EXPECT_FALSE(cluster.server(1).is_leader());
}

TEST(guarantee, g48b_yield_obeys_the_id) {
    stepped_cluster cluster(tiered_servers());
    lead_and_hear(cluster);
    cluster.server(1).yield_leadership(false, 3);
    EXPECT_TRUE(leads(cluster, 3)) << "though of lower priority than server 2";
}

TEST(guarantee, g48c_yield_to_an_unknown_id_takes_the_default) {
    stepped_cluster cluster(tiered_servers());
    lead_and_hear(cluster);
    cluster.server(1).yield_leadership(false, 9);
    EXPECT_TRUE(leads(cluster, 2));
}

TEST(guarantee, g48d_yield_skips_an_offline_candidate) {
    constexpr int32 heartbeat = 200;
    raft_params p = stepped_params();
    p.with_hb_interval(heartbeat);
    stepped_cluster cluster(tiered_servers());
    lead_and_hear(cluster, p);
    cluster.network->isolate(2, true);
    ASSERT_TRUE(silent_for(cluster, 2, heartbeat));
    cluster.beat(1);
    cluster.server(1).yield_leadership();
    EXPECT_TRUE(leads(cluster, 3));
}

TEST(guarantee, g49_refusing_callback_prevents_yielding_and_requested_hand_over) {
    stepped_cluster cluster(tiered_servers());
    lead_and_hear(cluster);
    cluster.decide([](int32, cb_func::Type type, cb_func::Param*) {
        return type == cb_func::ResignationFromLeader ? cb_func::ReturnNull : cb_func::Ok;
    });
    cluster.server(1).yield_leadership();
    cluster.network->run();
    EXPECT_TRUE(cluster.server(1).is_leader());
    cluster.server(1).yield_leadership(true);
    cluster.network->run();
    EXPECT_TRUE(cluster.server(1).is_leader());
    EXPECT_TRUE(cluster.server(3).request_leadership());
    cluster.network->run();
    EXPECT_TRUE(cluster.server(1).is_leader());
    EXPECT_EQ(3, cluster.count(1, cb_func::ResignationFromLeader));
    EXPECT_EQ(3, cluster.events(1, cb_func::ResignationFromLeader).back().peer) << "the requester";
    cluster.append(1, "a");
    EXPECT_TRUE(cluster.settle(1)) << "writes go on";

    cluster.decide(nullptr);
    EXPECT_TRUE(cluster.server(3).request_leadership());
    EXPECT_TRUE(leads(cluster, 3));
}

TEST(guarantee, g50_leader_resigns_after_the_upper_bound_if_the_successor_never_catches_up) {
    raft_params p = stepped_params();
    p.with_election_timeout_upper(100);
    stepped_cluster cluster(tiered_servers());
    lead_and_hear(cluster, p);
    cluster.network->isolate(2, true);
    const auto yielded_at = clock::now();
    cluster.server(1).yield_leadership(false, 2);
    cluster.network->run();
    EXPECT_EQ(cmd_result_code::NOT_LEADER, cluster.append(1, "paused")->get_result_code());
    ASSERT_TRUE(
        cluster.beat_until(1, "the resignation", [&] { return !cluster.server(1).is_leader(); }));
    // 100 ms, of which the server counts whole ones only.
    EXPECT_GE(clock::now() - yielded_at, milliseconds(99));
    EXPECT_FALSE(cluster.server(2).is_leader());
}

TEST(guarantee, g51_automatic_transfer_waits_for_all_peers_and_prefers_priority) {
    raft_params p = stepped_params();
    stepped_cluster cluster(tiered_servers());
    cluster.start(p);
    cluster.network->isolate(3, true);
    ASSERT_TRUE(eventually("a leader without server 3", [&] {
        if (!cluster.server(1).is_leader()) cluster.timeout(1);
        return cluster.server(1).is_leader();
    }));
    for (int i = 0; i < 10; ++i) cluster.append(1, std::to_string(i));
    cluster.network->run();
    p.leadership_transfer_min_wait_time_ = 1;
    p.with_hb_interval(5).with_stale_log_gap(1);
    p.with_election_timeout_lower(60000).with_election_timeout_upper(60001);
    cluster.server(1).update_params(p);
    // Long enough for several checks, each of which would transfer to server 2.
    ASSERT_TRUE(silent_for(cluster, 3, 50));
    EXPECT_TRUE(cluster.server(1).is_leader()) << "server 3 does not respond";

    cluster.network->isolate(3, false);
    EXPECT_TRUE(eventually("the transfer", [&] {
        if (cluster.server(1).is_leader()) cluster.beat(1);
        return cluster.server(2).is_leader();
    }));
    EXPECT_EQ(0, cluster.count(3, cb_func::BecomeLeader));
}

TEST(guarantee, g52a_expired_leader_becomes_follower) {
    raft_params p = stepped_params();
    p.with_leadership_expiry(300).with_hb_interval(5);
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.network->isolate(2, true);
    ASSERT_TRUE(silent_for(cluster, 2, 400));
    EXPECT_TRUE(cluster.server(1).is_leader()) << "with a majority left";
    const auto before_the_last_answer = clock::now();
    cluster.beat(1);
    cluster.network->isolate(3, true);
    ASSERT_TRUE(
        cluster.beat_until(1, "the expiry", [&] { return !cluster.server(1).is_leader(); }));
    EXPECT_GE(clock::now() - before_the_last_answer, milliseconds(300));
    EXPECT_EQ(1, cluster.count(1, cb_func::ResignationFromLeader));
}

TEST(guarantee, g52b_leader_of_two_does_not_expire) {
    raft_params p = stepped_params();
    p.with_leadership_expiry(20).with_hb_interval(5);
    stepped_cluster cluster(2);
    cluster.lead(p);
    cluster.network->isolate(2, true);
    ASSERT_TRUE(silent_for(cluster, 2, 100));
    cluster.beat(1);
    EXPECT_TRUE(cluster.server(1).is_leader());
}

TEST(guarantee, g52c_negative_expiry_never_expires) {
    raft_params p = stepped_params();
    p.with_leadership_expiry(-1).with_hb_interval(5);
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.network->isolate(2, true);
    cluster.network->isolate(3, true);
    ASSERT_TRUE(silent_for(cluster, 2, 150)) << "more than the default of 20 heartbeats";
    cluster.beat(1);
    EXPECT_TRUE(cluster.server(1).is_leader());
}

TEST(guarantee, g53_set_priority_results) {
    using result = raft_server::PrioritySetResult;
    stepped_cluster cluster(3);
    cluster.start();
    EXPECT_EQ(result::BROADCAST, cluster.server(2).set_priority(3, 8)) << "no leader yet";
    cluster.network->run();
    for (int32 id : {1, 2, 3}) {
        EXPECT_EQ(8, cluster.server(id).get_srv_config(3)->get_priority()) << "at server " << id;
    }
    ASSERT_TRUE(cluster.elect(1));
    ASSERT_TRUE(cluster.settle(1));
    cluster.beat(1);

    EXPECT_EQ(result::SET, cluster.server(1).set_priority(2, 20));
    ASSERT_TRUE(cluster.settle(1));
    EXPECT_EQ(result::IGNORED, cluster.server(2).set_priority(3, 30));
    cluster.network->run();
    for (int32 id : {1, 2, 3}) {
        EXPECT_EQ(20, cluster.server(id).get_srv_config(2)->get_priority()) << "at server " << id;
        EXPECT_NE(30, cluster.server(id).get_srv_config(3)->get_priority()) << "at server " << id;
    }
    const ulong last = cluster.server(1).get_last_log_idx();
    EXPECT_EQ(result::BROADCAST, cluster.server(2).set_priority(3, 40, true));
    cluster.network->run();
    EXPECT_EQ(result::BROADCAST, cluster.server(1).set_priority(1, 0));
    cluster.network->run();
    for (int32 id : {1, 2, 3}) {
        EXPECT_EQ(40, cluster.server(id).get_srv_config(3)->get_priority()) << "at server " << id;
        EXPECT_EQ(0, cluster.server(id).get_srv_config(1)->get_priority()) << "at server " << id;
    }
    EXPECT_EQ(last, cluster.server(1).get_last_log_idx()) << "broadcasts are not logged";
    EXPECT_TRUE(cluster.server(1).is_leader());
}

}  // namespace test
}  // namespace nuraft
