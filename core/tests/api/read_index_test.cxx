#include "libnuraft/read_index.hxx"

#include "doubles/asio_cluster.hxx"
#include "doubles/stepped_cluster.hxx"

// Linearizable reads without an entry in the log, an addition to NuRaft's API.

namespace nuraft {
namespace test {

namespace {

testing::AssertionResult finished(cmd_result<uint64_t>& result) {
    return eventually("the read's index", [&] { return result.has_result(); });
}

}  // namespace

TEST(read_index, shows_a_write_of_another_server_and_writes_nothing) {
    raft_params p = quick_params();
    p.with_auto_forwarding(true);
    p.return_method_ = raft_params::async_handler;
    asio_cluster cluster(3, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    ptr<cmd_result<ptr<buffer>>> written = append(*leader->server, "a");
    ASSERT_TRUE(eventually("the write", [&] { return written->has_result(); }));
    ASSERT_TRUE(cluster.all_have("a"));
    const ulong last = leader->server->get_last_log_idx();

    for (auto& node : cluster.nodes()) {
        ptr<cmd_result<uint64_t>> read;
        ASSERT_TRUE(eventually("an index", [&] {
            read = read_index(*node->server);
            return finished(*read) && read->get_result_code() == cmd_result_code::OK;
        }));
        EXPECT_GE(read->get(), last);
        EXPECT_TRUE(read->get_accepted());
        EXPECT_TRUE(node->server->wait_for_state_machine_commit(read->get())->get());
        EXPECT_TRUE(node->sm->has("a"));
    }
    EXPECT_EQ(last, leader->server->get_last_log_idx());
}

TEST(read_index, is_refused_without_a_leader_and_cancelled_by_the_end) {
    stepped_cluster cluster(3);
    cluster.start();
    auto early = read_index(cluster.server(1));
    EXPECT_EQ(cmd_result_code::NOT_LEADER, early->get_result_code());
    ASSERT_TRUE(cluster.elect(1));

    cluster.network->hold(2, true);
    cluster.network->hold(3, true);
    auto cut_off = read_index(cluster.server(1));
    EXPECT_FALSE(cut_off->has_result());
    cluster.server(1).yield_leadership(true);
    ASSERT_TRUE(finished(*cut_off));
    EXPECT_EQ(cmd_result_code::NOT_LEADER, cut_off->get_result_code());

    ptr<raft_server> server = cluster.node(1).server;
    cluster.stop(1);
    EXPECT_EQ(cmd_result_code::CANCELLED, read_index(*server)->get_result_code());
}

}  // namespace test
}  // namespace nuraft
