#include "guarantees/guarantee.hxx"

// Snapshots on their way to others: guarantees 55 to 59.

namespace nuraft {
namespace test {

namespace {

raft_params compacting_params() {
    raft_params p = stepped_params();
    p.with_reserved_log_items(0);
    return p;
}

memory_state_machine& machine(stepped_cluster& cluster, int32 id) {
    return *cluster.node(id).sm;
}

/// Entries that server 3 misses.
void append_without_3(stepped_cluster& cluster, int count) {
    cluster.network->isolate(3, true);
    for (int i = 0; i < count; ++i) cluster.append(1, "entry " + std::to_string(i));
    ASSERT_TRUE(eventually("the commit", [&] {
        cluster.network->run();
        return cluster.server(1).get_committed_log_idx() == cluster.server(1).get_last_log_idx() &&
               cluster.server(2).get_committed_log_idx() == cluster.server(1).get_last_log_idx();
    }));
}

/// Entries that server 3 misses, and that server 1 has in a snapshot only.
void leave_behind(stepped_cluster& cluster) {
    append_without_3(cluster, 20);
    ASSERT_NE(0u, cluster.server(1).create_snapshot());
    ASSERT_TRUE(eventually("compaction", [&] {
        return cluster.node(1).mgr->log->start_index() ==
               cluster.server(1).get_last_snapshot_idx() + 1;
    }));
}

/// Server 3 is back and has received some objects, not all.
void receive_half(stepped_cluster& cluster) {
    cluster.network->isolate(3, false);
    ASSERT_TRUE(eventually("the transfer half done", [&] {
        if (cluster.network->under_way(1, 3).empty()) {
            cluster.node(1).timers->fire(timer_task_type::heartbeat_timer);
        }
        cluster.network->round();
        return cluster.network->sent(1, msg_type::install_snapshot_request) >= 5;
    }));
    ASSERT_TRUE(cluster.server(3).is_receiving_snapshot());
    ASSERT_EQ(1, machine(cluster, 1).open_contexts());
    ASSERT_EQ(0, machine(cluster, 3).installs());
}

testing::AssertionResult caught_up(stepped_cluster& cluster, int32 leader) {
    return cluster.beat_until(leader, "server 3 to catch up", [&] {
        return machine(cluster, 3).committed() == machine(cluster, leader).committed();
    });
}

}  // namespace

TEST(guarantee, g55_lagging_follower_gets_one_snapshot_and_then_entries) {
    stepped_cluster cluster(3);
    cluster.lead(compacting_params());
    leave_behind(cluster);
    cluster.append(1, "after the snapshot");
    cluster.network->isolate(3, false);
    EXPECT_TRUE(caught_up(cluster, 1));
    EXPECT_EQ(1, machine(cluster, 3).installs());
    EXPECT_EQ(0, machine(cluster, 1).open_contexts());
    EXPECT_FALSE(cluster.server(3).is_receiving_snapshot());
    cluster.append(1, "more");
    EXPECT_TRUE(caught_up(cluster, 1));
    EXPECT_EQ(1, machine(cluster, 3).installs());
}

TEST(guarantee, g56_stopped_receiver_frees_the_context_and_completes_after_a_restart) {
    raft_params p = compacting_params();
    p.with_snapshot_sync_ctx_timeout(50);
    stepped_cluster cluster(3);
    cluster.lead(p);
    leave_behind(cluster);
    receive_half(cluster);
    cluster.stop(3);
    EXPECT_TRUE(cluster.beat_until(1, "the context freed",
                                   [&] { return machine(cluster, 1).open_contexts() == 0; }));
    cluster.start(3, p);
    EXPECT_TRUE(cluster.server(3).is_receiving_snapshot()) << "across restarts too";
    EXPECT_TRUE(caught_up(cluster, 1));
    EXPECT_EQ(1, machine(cluster, 3).installs());
    EXPECT_EQ(0, machine(cluster, 1).open_contexts());
}

TEST(guarantee, g57_removing_a_receiver_frees_the_context) {
    raft_params p = compacting_params();
    p.with_hb_interval(10);
    p.with_snapshot_sync_ctx_timeout(600000);
    stepped_cluster cluster(3);
    cluster.lead(p);
    leave_behind(cluster);
    receive_half(cluster);
    cluster.network->hold(3, true);
    ASSERT_TRUE(cluster.server(1).remove_srv(3)->get_accepted());
    EXPECT_TRUE(cluster.beat_until(1, "the context freed",
                                   [&] { return machine(cluster, 1).open_contexts() == 0; }));
    EXPECT_FALSE(cluster.server(1).get_srv_config(3));
}

TEST(guarantee, g58_receiver_in_mid_transfer_gets_a_snapshot_from_the_new_leader) {
    stepped_cluster cluster(3);
    cluster.start(1, compacting_params());
    cluster.start(2, stepped_params());  // Keeps its log.
    cluster.start(3, stepped_params());
    ASSERT_TRUE(cluster.elect(1));
    ASSERT_TRUE(cluster.settle(1));
    leave_behind(cluster);
    receive_half(cluster);
    cluster.network->isolate(1, true);
    cluster.network->run();
    ASSERT_NE(0u, cluster.server(2).create_snapshot());
    ASSERT_TRUE(cluster.elect(2));
    ASSERT_EQ(1u, cluster.node(2).mgr->log->start_index());

    EXPECT_TRUE(caught_up(cluster, 2));
    EXPECT_GT(cluster.network->sent(2, msg_type::install_snapshot_request, 3), 0);
    EXPECT_EQ(1, machine(cluster, 3).installs());
    EXPECT_FALSE(cluster.server(3).is_receiving_snapshot());
    EXPECT_EQ(0, machine(cluster, 2).open_contexts());
}

TEST(guarantee, g59_compaction_without_a_snapshot_warns_the_follower) {
    stepped_cluster cluster(3);
    cluster.lead();
    append_without_3(cluster, 10);
    cluster.node(1).mgr->log->compact(5);
    cluster.network->isolate(3, false);
    ASSERT_TRUE(cluster.beat_until(
        1, "the warning", [&] { return cluster.count(3, cb_func::OutOfLogRangeWarning) > 0; }));
    EXPECT_EQ(6u, cluster.events(3, cb_func::OutOfLogRangeWarning).front().value);
    EXPECT_TRUE(cluster.server(1).is_leader());
    EXPECT_TRUE(cluster.node(1).mgr->exits().empty());
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(cluster.beat_until(1, "the commit", [&] { return result->has_result(); }));
}

}  // namespace test
}  // namespace nuraft
