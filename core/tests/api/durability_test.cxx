#include "doubles/asio_cluster.hxx"

// Log stores that are slow to reach the disk (behaviour 21).

namespace nuraft {
namespace test {

namespace {

raft_params parallel_params() {
    raft_params p = quick_params();
    p.return_method_ = raft_params::async_handler;
    p.parallel_log_appending_ = true;
    return p;
}

/// What a log store's disk thread does.
void finish_writes(asio_node& n) {
    n.mgr->log->finish_writes();
    n.server->notify_log_append_completion(true);
}

}  // namespace

TEST(parallel_appending, single_server_commits_only_what_is_durable) {
    asio_node node(1);
    node.found(config_of({node.endpoint()}));
    node.start(parallel_params());
    ASSERT_TRUE(eventually("a leader", [&] { return node.server->is_leader(); }));
    EXPECT_EQ("a@2", value_of(*append(*node.server, "a")));
    node.mgr->log->slow_disk(true);
    auto waiting = append(*node.server, "b");
    auto also = append(*node.server, "c");
    EXPECT_TRUE(
        eventually("the entries in the log", [&] { return node.mgr->log->next_slot() == 5; }));
    EXPECT_FALSE(waiting->has_result());
    EXPECT_EQ(2u, node.server->get_target_committed_log_idx());
    finish_writes(node);  // One notification for both.
    EXPECT_EQ("b@3", value_of(*waiting));
    EXPECT_EQ("c@4", value_of(*also));
    node.stop();
}

TEST(parallel_appending, others_disks_commit_while_the_leaders_is_slow) {
    asio_cluster cluster(3, parallel_params());
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    EXPECT_NE("", value_of(*append(*leader->server, "a")));
    ASSERT_TRUE(cluster.all_have("a"));
    leader->mgr->log->slow_disk(true);
    EXPECT_NE("", value_of(*append(*leader->server, "b")));
    const ulong last = leader->server->get_last_log_idx();
    ASSERT_TRUE(leader->server->wait_for_state_machine_commit(last)->get());
    EXPECT_LT(leader->mgr->log->last_durable_index(), leader->server->get_committed_log_idx());
    EXPECT_EQ(0u, leader->server->create_snapshot()) << "a snapshot ahead of the disk";
    finish_writes(*leader);
    leader->mgr->log->slow_disk(false);
    EXPECT_TRUE(cluster.all_have("b"));
}

TEST(parallel_appending, followers_acknowledge_only_what_is_durable) {
    asio_cluster cluster(3, parallel_params());
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    EXPECT_NE("", value_of(*append(*leader->server, "a")));
    ASSERT_TRUE(cluster.all_have("a"));
    std::vector<asio_node*> followers;
    for (auto& n : cluster.nodes()) {
        if (n.get() != leader) followers.push_back(n.get());
    }
    for (asio_node* f : followers) f->mgr->log->slow_disk(true);
    auto waiting = append(*leader->server, "b");
    const ulong index = leader->server->get_last_log_idx();
    for (asio_node* f : followers) {
        EXPECT_TRUE(eventually("the entry in the follower's log",
                               [&] { return f->mgr->log->next_slot() == index + 1; }));
    }
    EXPECT_FALSE(waiting->has_result());
    EXPECT_LT(leader->server->get_target_committed_log_idx(), index);
    finish_writes(*followers[0]);
    EXPECT_NE("", value_of(*waiting)) << "leader and one follower are a quorum";
    for (asio_node* f : followers) {
        finish_writes(*f);
        f->mgr->log->slow_disk(false);
    }
}

TEST(parallel_appending, failed_write_ends_leadership) {
    asio_cluster cluster(3, parallel_params());
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    const ulong term = leader->server->get_term();
    leader->server->notify_log_append_completion(false);
    EXPECT_TRUE(eventually("a new term", [&] { return leader->server->get_term() > term; }));
    EXPECT_TRUE(leader->mgr->exits().empty());

    ASSERT_TRUE(cluster.wait_for_leader());
    asio_node& follower = cluster.any_follower();
    follower.server->notify_log_append_completion(false);
    EXPECT_TRUE(eventually("system_exit", [&] { return !follower.mgr->exits().empty(); }));
    EXPECT_EQ(raft_err::N21_log_flush_failed, follower.mgr->exits().front());
}

}  // namespace test
}  // namespace nuraft
