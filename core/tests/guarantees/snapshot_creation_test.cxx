#include "guarantees/guarantee.hxx"

// Making snapshots: guarantee 54.

namespace nuraft {
namespace test {

namespace {

void append_and_apply(stepped_cluster& cluster, int count) {
    for (int i = 0; i < count; ++i) {
        auto result = cluster.append(1, "entry");
        ASSERT_EQ(cmd_result_code::OK, (result->get(), result->get_result_code()));
    }
    // A result is delivered, and its index visible, before the snapshot is considered: the
    // execution of the entry ends only after that.
    ASSERT_TRUE(cluster.server(1).wait_for_state_machine_pause(0));
}

}  // namespace

TEST(guarantee, g54a_snapshots_at_the_distance_compact_the_log) {
    raft_params p = stepped_params();
    p.with_snapshot_enabled(10).with_reserved_log_items(3);
    stepped_cluster cluster(1);
    cluster.lead(p);
    append_and_apply(cluster, 8);
    EXPECT_EQ(0u, cluster.server(1).get_last_snapshot_idx()) << "nine entries";
    append_and_apply(cluster, 1);
    EXPECT_EQ(10u, cluster.server(1).get_last_snapshot_idx());
    EXPECT_TRUE(
        eventually("compaction", [&] { return cluster.node(1).mgr->log->start_index() == 8; }));
    append_and_apply(cluster, 10);
    EXPECT_EQ(20u, cluster.server(1).get_last_snapshot_idx());
    EXPECT_EQ(2, cluster.node(1).sm->snapshots_created());
}

TEST(guarantee, g54b_first_distance_may_be_randomised) {
    raft_params p = stepped_params();
    p.with_snapshot_enabled(20).with_randomized_snapshot_creation_enabled(true);
    for (int attempt = 0; attempt < 5; ++attempt) {
        stepped_cluster cluster(1);
        cluster.lead(p);
        ulong first = 0;
        while (first == 0 && cluster.server(1).get_last_log_idx() < 30) {
            append_and_apply(cluster, 1);
            first = cluster.server(1).get_last_snapshot_idx();
        }
        EXPECT_GE(first, 10u);
        EXPECT_LE(first, 19u);
    }
}

TEST(guarantee, g54c_manual_snapshots) {
    stepped_cluster cluster(1);
    cluster.lead();
    append_and_apply(cluster, 3);
    EXPECT_EQ(4u, cluster.server(1).create_snapshot()) << "whatever the distance";
    EXPECT_EQ(4u, cluster.server(1).get_last_snapshot_idx());
    EXPECT_EQ(0u, cluster.server(1).create_snapshot()) << "there is one at this index";
    append_and_apply(cluster, 1);
    raft_server::create_snapshot_options opt;
    opt.serialize_commit_ = true;
    EXPECT_EQ(5u, cluster.server(1).create_snapshot(opt));
    append_and_apply(cluster, 1);

    cluster.decide([](int32, cb_func::Type type, cb_func::Param*) {
        return type == cb_func::SnapshotCreationBegin ? cb_func::ReturnNull : cb_func::Ok;
    });
    EXPECT_EQ(0u, cluster.server(1).create_snapshot()) << "vetoed";
    EXPECT_EQ(5u, cluster.server(1).get_last_snapshot_idx());
}

TEST(guarantee, g54d_scheduled_snapshot_waits_for_the_next_commit) {
    stepped_cluster cluster(1);
    cluster.lead();
    append_and_apply(cluster, 1);
    auto scheduled = cluster.server(1).schedule_snapshot_creation();
    ASSERT_TRUE(scheduled);
    EXPECT_FALSE(scheduled->has_result());
    EXPECT_FALSE(cluster.server(1).schedule_snapshot_creation()) << "one is scheduled";
    append_and_apply(cluster, 1);
    ASSERT_TRUE(eventually("the snapshot", [&] { return scheduled->has_result(); }));
    EXPECT_EQ(3u, scheduled->get());
    EXPECT_EQ(cmd_result_code::OK, scheduled->get_result_code());
    EXPECT_EQ(3u, cluster.server(1).get_last_snapshot_idx());
}

TEST(guarantee, g54e_concurrent_manual_and_automatic_creation_yields_one_snapshot) {
    raft_params p = stepped_params();
    p.with_snapshot_enabled(5);
    stepped_cluster cluster(1);
    cluster.lead(p);
    cluster.node(1).sm->hold_snapshots(true);
    append_and_apply(cluster, 4);  // Due at index 5, and under way.
    EXPECT_EQ(0u, cluster.server(1).create_snapshot()) << "one is in progress";
    append_and_apply(cluster, 10);
    cluster.node(1).sm->hold_snapshots(false);
    EXPECT_TRUE(cluster.node(1).sm->finish_snapshot());
    EXPECT_EQ(1, cluster.node(1).sm->snapshots_created());
    EXPECT_EQ(5u, cluster.server(1).get_last_snapshot_idx());
    EXPECT_FALSE(cluster.node(1).sm->finish_snapshot());
}

}  // namespace test
}  // namespace nuraft
