#include <atomic>
#include <thread>

#include "doubles/asio_cluster.hxx"

// Several servers over the asio transport.

namespace nuraft {
namespace test {

namespace {

raft_params async_params() {
    raft_params p = quick_params();
    p.return_method_ = raft_params::async_handler;
    return p;
}

raft_params forwarding_params(raft_params::return_method_type method) {
    raft_params p = quick_params();
    p.return_method_ = method;
    p.with_auto_forwarding(true);
    p.auto_forwarding_max_connections_ = 2;
    return p;
}

}  // namespace

TEST(cluster, replicates_to_everybody) {
    asio_cluster cluster(3);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    for (int i = 0; i < 20; ++i) {
        auto result = append(*leader->server, "entry " + std::to_string(i));
        ASSERT_EQ(cmd_result_code::OK, result->get_result_code());
    }
    ASSERT_TRUE(cluster.all_have("entry 19"));
    for (auto& n : cluster.nodes()) {
        EXPECT_EQ(leader->sm->committed(), n->sm->committed()) << "server " << n->id;
        EXPECT_TRUE(n->mgr->exits().empty());
    }
    EXPECT_EQ(2u, leader->server->get_peer_info_all().size());
    EXPECT_TRUE(cluster.any_follower().server->get_peer_info_all().empty());
    EXPECT_EQ(-1, leader->server->get_peer_info(9).id_);
}

TEST(cluster, concurrent_clients_each_get_their_own_result) {
    asio_cluster cluster(3);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    std::atomic<int> wrong{0};
    std::vector<std::thread> clients;
    for (int c = 0; c < 8; ++c) {
        clients.emplace_back([&, c] {
            for (int i = 0; i < 25; ++i) {
                const std::string text = std::to_string(c) + "/" + std::to_string(i);
                auto result = append(*leader->server, text);
                if (value_of(*result).rfind(text + "@", 0) != 0) ++wrong;
            }
        });
    }
    for (std::thread& t : clients) t.join();
    EXPECT_EQ(0, wrong);
    EXPECT_EQ(200u, leader->sm->committed().size());
    for (int c = 0; c < 8; ++c) {
        ASSERT_TRUE(cluster.all_have(std::to_string(c) + "/24"));
    }
}

TEST(cluster, streams_many_requests_at_once) {
    raft_params p = async_params();
    p.max_log_gap_in_stream_ = 200;
    p.with_max_append_size(1);
    asio_cluster cluster(3, p, true);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    std::vector<ptr<cmd_result<ptr<buffer>>>> results;
    for (int i = 0; i < 1000; ++i) results.push_back(append(*leader->server, std::to_string(i)));
    for (int i = 0; i < 1000; ++i) {
        EXPECT_EQ(0u, value_of(*results[static_cast<size_t>(i)]).find(std::to_string(i) + "@"));
    }
    ASSERT_TRUE(cluster.all_have("999"));
    for (auto& n : cluster.nodes()) EXPECT_EQ(leader->sm->committed(), n->sm->committed());
}

TEST(cluster, replication_in_the_callers_thread) {
    raft_params p = quick_params();
    p.use_bg_thread_for_urgent_commit_ = false;
    asio_cluster cluster(3, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    EXPECT_EQ(cmd_result_code::OK, append(*leader->server, "a")->get_result_code());
    EXPECT_TRUE(cluster.all_have("a"));
}

TEST(cluster, followers_refuse_without_forwarding) {
    asio_cluster cluster(3);
    ASSERT_TRUE(cluster.wait_for_leader());
    auto result = append(*cluster.any_follower().server, "a");
    EXPECT_FALSE(result->get_accepted());
    EXPECT_TRUE(result->has_result());
    EXPECT_EQ(cmd_result_code::NOT_LEADER, result->get_result_code());
    EXPECT_EQ(cmd_result_code::NOT_LEADER,
              cluster.any_follower().server->flip_learner_flag(1, true)->get_result_code());
}

TEST(cluster, forwards_to_the_leader_blocking) {
    asio_cluster cluster(3, forwarding_params(raft_params::blocking));
    ASSERT_TRUE(cluster.wait_for_leader());
    raft_server& follower = *cluster.any_follower().server;
    std::atomic<int> wrong{0};
    std::vector<std::thread> clients;  // More than connections.
    for (int c = 0; c < 6; ++c) {
        clients.emplace_back([&, c] {
            for (int i = 0; i < 5; ++i) {
                const std::string text = std::to_string(c) + "/" + std::to_string(i);
                auto result = append(follower, text);
                if (!result->get_accepted() || value_of(*result).rfind(text + "@", 0) != 0) {
                    ++wrong;
                }
            }
        });
    }
    for (std::thread& t : clients) t.join();
    EXPECT_EQ(0, wrong);
}

TEST(cluster, forwards_to_the_leader_asynchronously) {
    asio_cluster cluster(3, forwarding_params(raft_params::async_handler));
    ASSERT_TRUE(cluster.wait_for_leader());
    raft_server& follower = *cluster.any_follower().server;
    std::vector<ptr<cmd_result<ptr<buffer>>>> results;
    for (int i = 0; i < 20; ++i) results.push_back(append(follower, std::to_string(i)));
    for (int i = 0; i < 20; ++i) {
        cmd_result<ptr<buffer>>& r = *results[static_cast<size_t>(i)];
        EXPECT_EQ(0u, value_of(r).find(std::to_string(i) + "@")) << value_of(r);
        EXPECT_EQ(cmd_result_code::OK, r.get_result_code());
        EXPECT_TRUE(r.get_accepted());
    }
}

TEST(cluster, forwarded_request_to_a_dead_leader_fails_with_its_error) {
    asio_cluster cluster(3, forwarding_params(raft_params::blocking));
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    asio_node& follower = cluster.any_follower();
    leader->stop();
    auto result = append(*follower.server, "a");
    if (result->get_result_code() == cmd_result_code::FAILED) {
        bool had_error = false;
        result->when_ready([&](ptr<buffer>&, ptr<std::exception>& e) { had_error = e != nullptr; });
        EXPECT_TRUE(had_error);
    }
    EXPECT_FALSE(result->get_accepted());
    ASSERT_TRUE(cluster.wait_for_leader());
    EXPECT_TRUE(eventually("forwarding to the new leader", [&] {
        return append(*follower.server, "b")->get_result_code() == cmd_result_code::OK;
    }));
}

TEST(cluster, elects_another_leader_when_the_first_dies) {
    asio_cluster cluster(3);
    asio_node* first = cluster.wait_for_leader();
    ASSERT_TRUE(first);
    const ulong term = first->server->get_term();
    append(*first->server, "before");
    first->stop();
    asio_node* second = cluster.wait_for_leader();
    ASSERT_TRUE(second);
    EXPECT_NE(first->id, second->id);
    EXPECT_GT(second->server->get_term(), term);
    EXPECT_EQ(cmd_result_code::OK, append(*second->server, "after")->get_result_code());
    first->start(quick_params());
    ASSERT_TRUE(cluster.all_have("before"));
    ASSERT_TRUE(cluster.all_have("after"));
    EXPECT_EQ(second->sm->committed(), first->sm->committed());
}

TEST(cluster, leader_without_quorum_cancels_and_its_tail_is_rolled_back) {
    asio_cluster cluster(3, async_params());
    asio_node* old_leader = cluster.wait_for_leader();
    ASSERT_TRUE(old_leader);
    auto kept = append(*old_leader->server, "kept");
    EXPECT_EQ(0u, value_of(*kept).find("kept@"));
    const ulong last_kept = old_leader->server->get_last_log_idx();
    ASSERT_TRUE(cluster.all_have("kept"));
    std::vector<asio_node*> others;
    for (auto& n : cluster.nodes()) {
        if (n.get() != old_leader) others.push_back(n.get());
    }
    for (asio_node* n : others) n->stop();

    auto lost1 = append(*old_leader->server, "lost 1");
    auto lost2 = append(*old_leader->server, "lost 2");
    EXPECT_TRUE(lost1->get_accepted());
    ASSERT_TRUE(eventually("step-down without a quorum", [&] { return lost2->has_result(); }));
    EXPECT_EQ(cmd_result_code::CANCELLED, lost1->get_result_code());
    EXPECT_EQ(cmd_result_code::CANCELLED, lost2->get_result_code());
    EXPECT_FALSE(lost2->get());
    bool had_error = false;
    lost2->when_ready([&](ptr<buffer>&, ptr<std::exception>& e) { had_error = e != nullptr; });
    EXPECT_TRUE(had_error);
    EXPECT_EQ(cmd_result_code::NOT_LEADER, append(*old_leader->server, "more")->get_result_code());

    trace events;
    old_leader->stop();
    for (asio_node* n : others) n->start(async_params());
    asio_node* new_leader = cluster.wait_for_leader();
    ASSERT_TRUE(new_leader);
    EXPECT_EQ(0u, value_of(*append(*new_leader->server, "new")).find("new@"));
    old_leader->sm->record_in(&events);
    old_leader->start(async_params());
    ASSERT_TRUE(cluster.all_have("new"));
    EXPECT_EQ(new_leader->sm->committed(), old_leader->sm->committed());
    const int second = events.find("rollback " + std::to_string(last_kept + 2) + " lost 2");
    const int first = events.find("rollback " + std::to_string(last_kept + 1) + " lost 1");
    EXPECT_NE(-1, second);
    EXPECT_LT(second, first);
    old_leader->sm->record_in(nullptr);
}

TEST(cluster, yields_leadership_to_the_named_server) {
    asio_cluster cluster(3);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    const int32 heir = leader->id % 3 + 1;
    leader->server->yield_leadership(false, heir);
    ASSERT_TRUE(
        eventually("the heir to lead", [&] { return cluster.node(heir).server->is_leader(); }));
    EXPECT_EQ(cmd_result_code::OK, append(*cluster.node(heir).server, "a")->get_result_code());
    EXPECT_TRUE(cluster.all_have("a"));
}

TEST(cluster, hands_over_on_request) {
    asio_cluster cluster(3);
    ASSERT_TRUE(cluster.wait_for_leader());
    asio_node& heir = cluster.any_follower();
    EXPECT_FALSE(cluster.wait_for_leader()->server->request_leadership());
    EXPECT_TRUE(eventually("leadership", [&] {
        return heir.server->is_leader() || (heir.server->request_leadership(), false);
    }));
}

TEST(cluster, priorities) {
    asio_cluster cluster(3);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    const int32 other = leader->id % 3 + 1;
    EXPECT_EQ(raft_server::PrioritySetResult::IGNORED,
              cluster.any_follower().server->set_priority(other, 50));
    EXPECT_EQ(raft_server::PrioritySetResult::SET, leader->server->set_priority(other, 50));
    for (auto& n : cluster.nodes()) {
        EXPECT_TRUE(eventually("the priority everywhere", [&] {
            return n->server->get_srv_config(other)->get_priority() == 50;
        }));
    }
}

TEST(cluster, adds_and_removes_a_server) {
    asio_cluster cluster(2);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    append(*leader->server, "old");

    asio_node joiner(3);
    auto own = cs_new<cluster_config>();
    own->get_servers().push_back(cs_new<srv_config>(3, joiner.endpoint()));
    joiner.found(own);
    raft_server::init_options passive;
    passive.skip_initial_election_timeout_ = true;
    joiner.start(quick_params(), passive);

    EXPECT_EQ(cmd_result_code::SERVER_ALREADY_EXISTS,
              leader->server->add_srv(srv_config(2, "x:1"))->get_result_code());
    auto added = leader->server->add_srv(srv_config(3, joiner.endpoint()));
    EXPECT_TRUE(added->get_accepted());
    EXPECT_EQ(cmd_result_code::OK, added->get_result_code());
    ASSERT_TRUE(eventually("the joiner in everybody's configuration", [&] {
        return leader->server->get_srv_config(3) && joiner.server->get_srv_config(3) &&
               joiner.server->get_srv_config(1) && !joiner.server->is_catching_up();
    }));
    EXPECT_EQ(cmd_result_code::OK, append(*leader->server, "new")->get_result_code());
    EXPECT_TRUE(eventually("old and new at the joiner",
                           [&] { return joiner.sm->has("old") && joiner.sm->has("new"); }));

    EXPECT_EQ(cmd_result_code::SERVER_NOT_FOUND, leader->server->remove_srv(9)->get_result_code());
    EXPECT_EQ(cmd_result_code::CANNOT_REMOVE_LEADER,
              leader->server->remove_srv(leader->id)->get_result_code());
    EXPECT_EQ(cmd_result_code::OK, leader->server->remove_srv(3)->get_result_code());
    ASSERT_TRUE(eventually("the joiner gone", [&] { return !leader->server->get_srv_config(3); }));
    EXPECT_EQ(cmd_result_code::OK, append(*leader->server, "last")->get_result_code());
    EXPECT_TRUE(cluster.all_have("last"));
}

TEST(cluster, membership_requests_are_forwarded) {
    asio_cluster cluster(3, forwarding_params(raft_params::blocking));
    ASSERT_TRUE(cluster.wait_for_leader());
    asio_node& follower = cluster.any_follower();
    EXPECT_EQ(cmd_result_code::SERVER_ALREADY_EXISTS,
              follower.server->add_srv(srv_config(2, "x:1"))->get_result_code());
    EXPECT_EQ(cmd_result_code::SERVER_NOT_FOUND, follower.server->remove_srv(9)->get_result_code());
}

TEST(cluster, reports_a_server_that_cannot_join) {
    raft_params p = quick_params();
    trace events;
    asio_node founder(1);
    founder.found(config_of({founder.endpoint()}));
    raft_server::init_options opt;
    opt.raft_callback_ = [&](cb_func::Type type, cb_func::Param* param) {
        if (type == cb_func::ServerJoinFailed) {
            events.add("join failed " + std::to_string(param->peerId));
        }
        return cb_func::Ok;
    };
    founder.start(p, opt);
    ASSERT_TRUE(eventually("a leader", [&] { return founder.server->is_leader(); }));
    // Its first configuration is committed before another one may follow.
    ASSERT_EQ(cmd_result_code::OK, append(*founder.server, "a")->get_result_code());
    reserved_port nobody;
    auto started =
        founder.server->add_srv(srv_config(2, "127.0.0.1:" + std::to_string(nobody.number())));
    EXPECT_TRUE(started->get_accepted());
    EXPECT_TRUE(eventually("the failure", [&] { return events.count("join failed 2") > 0; }));
    founder.stop();
}

}  // namespace test
}  // namespace nuraft
