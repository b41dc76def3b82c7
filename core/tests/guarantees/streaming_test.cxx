#include <atomic>
#include <thread>

#include "doubles/asio_cluster.hxx"
#include "guarantees/guarantee.hxx"

// Several requests at once, and disk writes that take their time: guarantees 24 to 27.

namespace nuraft {
namespace test {

namespace {

constexpr int gap = 10;

raft_params streaming_params() {
    raft_params p = stepped_params();
    p.max_log_gap_in_stream_ = gap;
    return p;
}

/// A follower acknowledged an entry, so that the next ones stream.
void lead_and_stream(stepped_cluster& cluster, const raft_params& p = streaming_params()) {
    cluster.lead(p);
    cluster.append(1, "first");
    ASSERT_TRUE(cluster.settle(1));
}

size_t entries_under_way(stepped_cluster& cluster) {
    size_t count = 0;
    for (const ptr<req_msg>& m : cluster.network->under_way(1, 2)) count += m->log_entries().size();
    return count;
}

void expect_equal_machines(stepped_cluster& cluster, int32 servers, size_t commands) {
    ASSERT_TRUE(cluster.settle(1));
    for (int32 id = 1; id <= servers; ++id) {
        EXPECT_EQ(commands, cluster.node(id).sm->committed().size()) << "server " << id;
        EXPECT_EQ(cluster.node(1).sm->committed(), cluster.node(id).sm->committed());
    }
}

}  // namespace

TEST(guarantee, g24a_stream_has_a_request_for_each_append_up_to_the_gap) {
    stepped_cluster cluster(2);
    lead_and_stream(cluster);
    for (int i = 1; i <= 5; ++i) {
        cluster.append(1, std::to_string(i));
        EXPECT_EQ(static_cast<size_t>(i), cluster.network->under_way(1, 2).size());
    }
    for (int i = 6; i <= 20; ++i) cluster.append(1, std::to_string(i));
    EXPECT_EQ(static_cast<size_t>(gap), entries_under_way(cluster));
    const size_t full = cluster.network->under_way(1, 2).size();
    cluster.append(1, "beyond");
    EXPECT_EQ(full, cluster.network->under_way(1, 2).size());
    expect_equal_machines(cluster, 2, 22);
}

TEST(guarantee, g24b_bytes_in_flight_are_capped) {
    raft_params p = streaming_params();
    p.max_log_gap_in_stream_ = 1000;
    p.max_bytes_in_flight_in_stream_ = 100;
    stepped_cluster cluster(2);
    lead_and_stream(cluster, p);
    const std::string payload(40, 'x');
    for (int i = 0; i < 20; ++i) cluster.append(1, payload);
    const size_t full = entries_under_way(cluster);
    EXPECT_GE(full, 2u);
    EXPECT_LE(full, 4u) << "one request may overshoot";
    expect_equal_machines(cluster, 2, 21);
}

TEST(guarantee, g24c_failure_returns_to_single_requests_until_an_entry_is_acknowledged) {
    stepped_cluster cluster(2);
    lead_and_stream(cluster);
    for (int i = 0; i < 5; ++i) cluster.append(1, std::to_string(i));
    ASSERT_EQ(5u, cluster.network->under_way(1, 2).size());
    cluster.network->lose(1, 2);
    ASSERT_TRUE(eventually("a new connection", [&] {
        cluster.node(1).timers->fire(timer_task_type::heartbeat_timer);
        return !cluster.network->under_way(1, 2).empty();
    }));
    for (int i = 5; i < 8; ++i) cluster.append(1, std::to_string(i));
    EXPECT_EQ(1u, cluster.network->under_way(1, 2).size());

    expect_equal_machines(cluster, 2, 9);
    for (int i = 8; i < 11; ++i) cluster.append(1, std::to_string(i));
    EXPECT_EQ(3u, cluster.network->under_way(1, 2).size()) << "streaming again";
    expect_equal_machines(cluster, 2, 12);
}

TEST(guarantee, g25_streaming_ends_at_run_time_with_requests_outstanding) {
    raft_params p = streaming_params();
    stepped_cluster cluster(2);
    lead_and_stream(cluster, p);
    for (int i = 0; i < 5; ++i) cluster.append(1, std::to_string(i));
    ASSERT_EQ(5u, cluster.network->under_way(1, 2).size());
    p.max_log_gap_in_stream_ = 0;
    cluster.server(1).update_params(p);
    for (int i = 5; i < 10; ++i) cluster.append(1, std::to_string(i));
    EXPECT_LE(cluster.network->under_way(1, 2).size(), 6u) << "at most one more";
    expect_equal_machines(cluster, 2, 11);
    for (int i = 10; i < 13; ++i) cluster.append(1, std::to_string(i));
    EXPECT_EQ(1u, cluster.network->under_way(1, 2).size());
    expect_equal_machines(cluster, 2, 14);
}

TEST(guarantee, g26a_entries_commit_while_the_leaders_disk_is_slow) {
    raft_params p = stepped_params();
    p.parallel_log_appending_ = true;
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.node(1).mgr->log->slow_disk(true);
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(cluster.beat_until(1, "the commit", [&] { return result->has_result(); }));
    EXPECT_EQ(cmd_result_code::OK, result->get_result_code());
    EXPECT_LT(cluster.node(1).mgr->log->last_durable_index(), cluster.server(1).get_last_log_idx());

    // With one follower only, the leader's own disk counts.
    cluster.network->isolate(3, true);
    auto waits = cluster.append(1, "b");
    cluster.network->run();
    EXPECT_FALSE(waits->has_result());
    cluster.node(1).mgr->log->finish_writes();
    cluster.server(1).notify_log_append_completion(true);
    EXPECT_TRUE(eventually("the commit", [&] { return waits->has_result(); }));
}

TEST(guarantee, g26b_follower_answers_only_once_durable) {
    raft_params p = stepped_params();
    p.parallel_log_appending_ = true;
    stepped_cluster cluster(2);
    cluster.lead(p);
    cluster.node(2).mgr->log->slow_disk(true);
    auto result = cluster.append(1, "a");
    const ulong index = cluster.server(1).get_last_log_idx();
    // The request may be answered in the thread that delivers it.
    std::thread network([&] { cluster.network->run(); });
    EXPECT_TRUE(eventually("the entry in the follower's log",
                           [&] { return cluster.node(2).mgr->log->next_slot() == index + 1; }));
    EXPECT_FALSE(result->has_result());
    EXPECT_LT(cluster.server(1).get_target_committed_log_idx(), index);
    cluster.node(2).mgr->log->finish_writes();
    cluster.server(2).notify_log_append_completion(true);
    network.join();
    EXPECT_TRUE(cluster.beat_until(1, "the commit", [&] { return result->has_result(); }));
}

TEST(guarantee, g26c_leader_resigns_when_its_write_failed) {
    raft_params p = stepped_params();
    p.parallel_log_appending_ = true;
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.node(1).mgr->log->slow_disk(true);
    cluster.append(1, "a");
    cluster.server(1).notify_log_append_completion(false);
    EXPECT_TRUE(eventually("the resignation", [&] { return !cluster.server(1).is_leader(); }));
    EXPECT_EQ(-1, cluster.server(1).get_leader());
    EXPECT_TRUE(
        eventually("the news", [&] { return cluster.count(1, cb_func::BecomeFollower) > 0; }));
}

TEST(guarantee, g27_log_timestamps_are_equal_on_all_servers) {
    std::vector<std::unique_ptr<asio_node>> nodes;
    std::vector<std::string> endpoints;
    for (int32 id : {1, 2, 3}) {
        nodes.push_back(std::make_unique<asio_node>(id));
        endpoints.push_back(nodes.back()->endpoint());
    }
    for (auto& n : nodes) {
        n->found(config_of(endpoints));
        n->transport.replicate_log_timestamp_ = true;
        n->start(quick_params());
    }
    asio_node* leader = nullptr;
    ASSERT_TRUE(eventually("a leader", [&] {
        for (auto& n : nodes) {
            if (n->server->is_leader()) leader = n.get();
        }
        return leader != nullptr;
    }));
    ASSERT_EQ(cmd_result_code::OK, append(*leader->server, "a")->get_result_code());
    const ulong index = leader->server->get_last_log_idx();
    const uint64_t timestamp = leader->mgr->log->entry_at(index)->get_timestamp();
    EXPECT_NE(0u, timestamp);
    for (auto& n : nodes) {
        ASSERT_TRUE(eventually("the entry", [&] { return n->sm->has("a"); }));
        EXPECT_EQ(timestamp, n->mgr->log->entry_at(index)->get_timestamp());
    }
}

}  // namespace test
}  // namespace nuraft
