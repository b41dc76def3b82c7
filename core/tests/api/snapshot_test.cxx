#include "doubles/asio_cluster.hxx"

// Snapshots of a server's own state, and their way to others.

namespace nuraft {
namespace test {

namespace {

struct own_snapshots : testing::Test {
    void start(const raft_params& p, cb_func::func_type callback = nullptr) {
        node.found(config_of({node.endpoint()}));
        raft_server::init_options opt;
        opt.raft_callback_ = callback;
        node.start(p, opt);
        ASSERT_TRUE(eventually("a leader", [&] { return node.server->is_leader(); }));
    }
    asio_node node{1};
};

}  // namespace

TEST_F(own_snapshots, are_taken_at_the_distance_and_compact_the_log) {
    raft_params p = quick_params();
    p.with_snapshot_enabled(10);
    start(p);
    append_many(*node.server, 0, 40);
    ASSERT_TRUE(eventually("a snapshot at 30 or later",
                           [&] { return node.server->get_last_snapshot_idx() >= 30; }));
    EXPECT_TRUE(eventually("compaction", [&] {
        return node.mgr->log->start_index() == node.server->get_last_snapshot_idx() - 5 + 1;
    }));
}

TEST_F(own_snapshots, on_demand) {
    start(quick_params());
    append_many(*node.server, 0, 3);
    ASSERT_TRUE(
        eventually("index 4 applied", [&] { return node.server->get_committed_log_idx() == 4; }));
    raft_server::create_snapshot_options opt;
    opt.serialize_commit_ = true;
    EXPECT_EQ(4u, node.server->create_snapshot(opt));
    EXPECT_EQ(4u, node.server->get_last_snapshot_idx());
    EXPECT_EQ(0u, node.server->create_snapshot()) << "there is one at this index";
    append_many(*node.server, 3, 4);
    ASSERT_TRUE(
        eventually("index 5 applied", [&] { return node.server->get_committed_log_idx() == 5; }));
    EXPECT_EQ(5u, node.server->create_snapshot());
}

TEST_F(own_snapshots, scheduled_for_the_next_commit) {
    start(quick_params());
    append_many(*node.server, 0, 1);
    // The result comes before the snapshot is considered; the end of the execution comes after.
    ASSERT_TRUE(node.server->wait_for_state_machine_pause(0));
    auto scheduled = node.server->schedule_snapshot_creation();
    ASSERT_TRUE(scheduled);
    EXPECT_FALSE(node.server->schedule_snapshot_creation());
    EXPECT_FALSE(scheduled->has_result());
    append_many(*node.server, 1, 2);
    EXPECT_EQ(3u, scheduled->get());
    EXPECT_EQ(cmd_result_code::OK, scheduled->get_result_code());

    auto never = node.server->schedule_snapshot_creation();
    ASSERT_TRUE(never);
    node.server->shutdown();
    EXPECT_EQ(0u, never->get());
    EXPECT_EQ(cmd_result_code::CANCELLED, never->get_result_code());
}

TEST_F(own_snapshots, can_be_refused_by_the_callback) {
    start(quick_params(), [](cb_func::Type type, cb_func::Param*) {
        return type == cb_func::SnapshotCreationBegin ? cb_func::ReturnNull : cb_func::Ok;
    });
    append_many(*node.server, 0, 1);
    ASSERT_TRUE(node.server->wait_for_state_machine_pause(0));
    EXPECT_EQ(0u, node.server->create_snapshot());
    auto scheduled = node.server->schedule_snapshot_creation();
    append_many(*node.server, 1, 2);
    EXPECT_EQ(0u, scheduled->get());
    EXPECT_EQ(cmd_result_code::FAILED, scheduled->get_result_code());
}

TEST_F(own_snapshots, restart_continues_behind_a_compacted_log) {
    raft_params p = quick_params();
    p.with_snapshot_enabled(10);
    start(p);
    append_many(*node.server, 0, 25);
    ASSERT_TRUE(eventually("a snapshot", [&] { return node.server->get_last_snapshot_idx() > 0; }));
    const auto state = node.sm->committed();
    node.stop();
    node.start(p);
    ASSERT_TRUE(eventually("a leader", [&] { return node.server->is_leader(); }));
    append_many(*node.server, 25, 26);
    EXPECT_EQ(state.size() + 1, node.sm->committed().size());
    EXPECT_TRUE(node.mgr->exits().empty());
}

TEST(snapshot_transfer, brings_a_returning_follower_up_to_date) {
    raft_params p = quick_params();
    p.with_snapshot_enabled(10);
    asio_cluster cluster(3, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    asio_node& late = cluster.any_follower();
    late.stop();
    append_many(*leader->server, 0, 50);
    ASSERT_TRUE(eventually("compaction past what the follower has",
                           [&] { return leader->mgr->log->start_index() > 20; }));
    auto watcher_target = leader->server->get_committed_log_idx();
    late.start(p);
    auto watched = late.server->wait_for_state_machine_commit(watcher_target - 20);
    ASSERT_TRUE(cluster.all_have("49"));
    EXPECT_EQ(leader->sm->committed(), late.sm->committed());
    EXPECT_GE(late.sm->installs(), 1);
    EXPECT_TRUE(watched->get()) << "an index that the snapshot jumped over";
    append_many(*leader->server, 50, 55);
    ASSERT_TRUE(cluster.all_have("54"));
    EXPECT_TRUE(
        eventually("no context left open", [&] { return leader->sm->open_contexts() == 0; }));
}

TEST(snapshot_transfer, is_repeated_when_the_log_cannot_be_cut) {
    raft_params p = quick_params();
    p.with_snapshot_enabled(10);
    asio_cluster cluster(3, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    asio_node& late = cluster.any_follower();
    late.stop();
    append_many(*leader->server, 0, 50);
    ASSERT_TRUE(eventually("compaction past what the follower has",
                           [&] { return leader->mgr->log->start_index() > 20; }));
    late.mgr->log->fail_compaction(true);
    late.start(p);
    ASSERT_TRUE(eventually("an installation", [&] { return late.sm->installs() > 0; }));
    late.mgr->log->fail_compaction(false);
    ASSERT_TRUE(cluster.all_have("49"));
    append_many(*leader->server, 50, 51);
    ASSERT_TRUE(cluster.all_have("50"));
    EXPECT_EQ(leader->sm->committed(), late.sm->committed());
    EXPECT_TRUE(late.mgr->exits().empty());
}

TEST(snapshot_transfer, crash_between_state_and_log_is_mended_at_the_start) {
    // The state machine has the snapshot; the log still holds a shorter, or another, history.
    for (const ulong log_end : {5, 15}) {
        asio_node node(1);
        node.found(config_of({node.endpoint()}));
        for (ulong i = 1; i <= log_end; ++i) {
            auto e = cs_new<log_entry>(1, text_buffer("stale"));
            node.mgr->log->append(e);
        }
        snapshot received(10, 2, config_of({node.endpoint()}));
        node.sm->apply_snapshot(received);
        srv_state state(2, -1, true, false, true);
        node.mgr->save_state(state);
        raft_server::init_options passive;
        passive.start_server_in_constructor_ = false;
        node.start(quick_params(), passive);
        EXPECT_EQ(11u, node.mgr->log->start_index());
        EXPECT_EQ(11u, node.mgr->log->next_slot());
        EXPECT_EQ(10u, node.server->get_committed_log_idx());
        EXPECT_EQ(10u, node.server->get_target_committed_log_idx());
        EXPECT_TRUE(node.mgr->exits().empty());
        node.stop();
    }
}

TEST(snapshot_transfer, starts_again_after_a_failed_read) {
    raft_params p = quick_params();
    p.with_snapshot_enabled(10);
    asio_cluster cluster(3, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    asio_node& late = cluster.any_follower();
    late.stop();
    append_many(*leader->server, 0, 50);
    ASSERT_TRUE(eventually("compaction past what the follower has",
                           [&] { return leader->mgr->log->start_index() > 20; }));
    leader->sm->fail_read_of(leader->sm->committed().begin()->first + 3);
    late.start(p);
    ASSERT_TRUE(cluster.all_have("49"));
    EXPECT_TRUE(
        eventually("no context left open", [&] { return leader->sm->open_contexts() == 0; }));
}

TEST(snapshot_transfer, replaces_a_tail_that_disagrees) {
    raft_params p = quick_params();
    p.with_snapshot_enabled(10);
    p.return_method_ = raft_params::async_handler;
    asio_cluster cluster(3, p);
    asio_node* old_leader = cluster.wait_for_leader();
    ASSERT_TRUE(old_leader);
    append_many(*old_leader->server, 0, 3);
    ASSERT_TRUE(cluster.all_have("2"));
    std::vector<asio_node*> others;
    for (auto& n : cluster.nodes()) {
        if (n.get() != old_leader) others.push_back(n.get());
    }
    for (asio_node* n : others) n->stop();
    for (int i = 0; i < 100; ++i) append(*old_leader->server, "lost " + std::to_string(i));
    old_leader->stop();

    for (asio_node* n : others) n->start(p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    append_many(*leader->server, 3, 50);
    ASSERT_TRUE(eventually("compaction", [&] { return leader->mgr->log->start_index() > 20; }));
    trace events;
    old_leader->sm->record_in(&events);
    old_leader->start(p);
    ASSERT_TRUE(cluster.all_have("49"));
    append_many(*leader->server, 50, 52);
    ASSERT_TRUE(cluster.all_have("51"));
    EXPECT_EQ(leader->sm->committed(), old_leader->sm->committed());
    EXPECT_FALSE(old_leader->sm->has("lost 0"));
    const std::vector<std::string> lines = events.lines();
    ulong previous = 1000;
    int rollbacks = 0;
    for (const std::string& line : lines) {
        if (line.rfind("rollback ", 0) != 0) continue;
        const ulong index = std::stoul(line.substr(9));
        EXPECT_LT(index, previous) << "rollback order";
        previous = index;
        ++rollbacks;
    }
    EXPECT_EQ(100, rollbacks);
    old_leader->sm->record_in(nullptr);
}

TEST(snapshot_transfer, feeds_a_new_server) {
    raft_params p = quick_params();
    p.with_snapshot_enabled(10).with_log_sync_stopping_gap(3);
    asio_cluster cluster(1, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    append_many(*leader->server, 0, 50);
    ASSERT_TRUE(eventually("compaction", [&] { return leader->mgr->log->start_index() > 20; }));

    asio_node joiner(2);
    auto own = cs_new<cluster_config>();
    own->get_servers().push_back(cs_new<srv_config>(2, joiner.endpoint()));
    joiner.found(own);
    raft_server::init_options passive;
    passive.skip_initial_election_timeout_ = true;
    joiner.start(p, passive);
    EXPECT_TRUE(leader->server->add_srv(srv_config(2, joiner.endpoint()))->get_accepted());
    ASSERT_TRUE(eventually("the new server in the configuration",
                           [&] { return leader->server->get_srv_config(2) != nullptr; }));
    append_many(*leader->server, 50, 51);
    EXPECT_TRUE(eventually("all entries at the new server",
                           [&] { return leader->sm->committed() == joiner.sm->committed(); }));
    EXPECT_EQ(1, joiner.sm->installs());
    EXPECT_TRUE(
        eventually("no context left open", [&] { return leader->sm->open_contexts() == 0; }));
}

TEST(snapshot_transfer, packs_bring_a_new_server_close) {
    raft_params p = quick_params();
    p.with_log_sync_stopping_gap(3).with_log_sync_batch_size(7);
    asio_cluster cluster(1, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    append_many(*leader->server, 0, 30);
    asio_node joiner(2);
    auto own = cs_new<cluster_config>();
    own->get_servers().push_back(cs_new<srv_config>(2, joiner.endpoint()));
    joiner.found(own);
    raft_server::init_options passive;
    passive.skip_initial_election_timeout_ = true;
    joiner.start(p, passive);
    EXPECT_TRUE(leader->server->add_srv(srv_config(2, joiner.endpoint()))->get_accepted());
    ASSERT_TRUE(eventually("the new server in the configuration",
                           [&] { return leader->server->get_srv_config(2) != nullptr; }));
    append_many(*leader->server, 30, 31);
    EXPECT_TRUE(eventually("all entries at the new server",
                           [&] { return leader->sm->committed() == joiner.sm->committed(); }));
    EXPECT_EQ(0, joiner.sm->installs());
}

}  // namespace test
}  // namespace nuraft
