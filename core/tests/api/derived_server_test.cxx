#include <atomic>

#include "doubles/asio_cluster.hxx"
#include "doubles/sync_network.hxx"
#include "peer.hxx"

// Programs that derive from `raft_server` and look inside.

namespace nuraft {
namespace test {

namespace {

class open_server : public raft_server {
public:
    using raft_server::become_follower;
    using raft_server::check_leadership_validity;
    using raft_server::commit_in_bg_exec;
    using raft_server::get_last_snapshot;
    using raft_server::get_leadership_expiry;
    using raft_server::get_not_responding_peers;
    using raft_server::get_not_responding_peers_count;
    using raft_server::get_num_stale_peers;
    using raft_server::get_num_voting_members;
    using raft_server::get_quorum_for_commit;
    using raft_server::get_quorum_for_election;
    using raft_server::initiate_vote;
    using raft_server::is_excluded_from_quorum;
    using raft_server::raft_server;
    using raft_server::reconfigure;
    using raft_server::request_append_entries;

    using raft_server::config_;
    using raft_server::ctx_;
    using raft_server::leader_;
    using raft_server::lock_;
    using raft_server::peers_;
    using raft_server::precommit_index_;
    using raft_server::quick_commit_index_;
    using raft_server::role_;
    using raft_server::serving_req_;
    using raft_server::sm_commit_exec_in_progress_;
    using raft_server::sm_commit_index_;
    using raft_server::state_;

    ptr<resp_msg> process_req(req_msg& req, const req_ext_params& ext_params) override {
        ++requests;
        return raft_server::process_req(req, ext_params);
    }
    std::atomic<int> requests{0};
};

struct derived_servers : testing::Test {
    void start(const raft_params& p = manual_params()) {
        for (int32 id = 1; id <= 3; ++id) {
            cluster.node(id).make_server = [](context* parts,
                                              const raft_server::init_options& opt) {
                return cs_new<open_server>(parts, opt);
            };
        }
        cluster.start(p);
        cluster.elect(1);
        ASSERT_TRUE(server(1).is_leader());
    }
    open_server& server(int32 id) { return static_cast<open_server&>(*cluster.node(id).server); }

    sync_cluster cluster{3};
};

}  // namespace

TEST_F(derived_servers, see_the_state) {
    start();
    open_server& leader = server(1);
    ASSERT_EQ("a@2", value_of(*append(leader, "a")));
    ASSERT_TRUE(leader.wait_for_state_machine_pause(0));
    std::lock_guard<std::recursive_mutex> guard(leader.lock_);
    EXPECT_EQ(srv_role::leader, leader.role_);
    EXPECT_EQ(srv_role::follower, server(2).role_);
    EXPECT_EQ(1, leader.leader_);
    EXPECT_EQ(1, server(3).leader_);
    EXPECT_EQ(leader.get_term(), leader.state_->get_term());
    EXPECT_EQ(2u, leader.precommit_index_);
    EXPECT_EQ(2u, leader.quick_commit_index_);
    EXPECT_EQ(2u, leader.sm_commit_index_);
    EXPECT_FALSE(leader.sm_commit_exec_in_progress_);
    EXPECT_EQ(leader.get_config(), leader.config_);
    EXPECT_EQ(cluster.node(1).sm, leader.ctx_->state_machine_);
    EXPECT_EQ(3, leader.get_num_voting_members());
    EXPECT_EQ(1, leader.get_quorum_for_commit());
    EXPECT_EQ(1, leader.get_quorum_for_election());
    EXPECT_EQ(-1, leader.get_leadership_expiry());
    ASSERT_EQ(2u, leader.peers_.size());
    const ptr<peer>& other = leader.peers_.at(2);
    EXPECT_EQ(2, other->get_id());
    EXPECT_EQ("S2", other->get_endpoint());
    EXPECT_EQ(2u, other->get_matched_idx());
    EXPECT_EQ(3u, other->get_next_log_idx());
    EXPECT_TRUE(other->is_hb_enabled());
    EXPECT_FALSE(other->is_busy());
    EXPECT_FALSE(other->is_lost());
    EXPECT_LT(other->get_resp_timer_us(), other->get_active_timer_us() + 60 * 1000 * 1000);
}

TEST_F(derived_servers, see_who_does_not_answer) {
    start();
    open_server& leader = server(1);
    append(leader, "a");
    EXPECT_TRUE(leader.get_not_responding_peers(60000).empty());
    EXPECT_EQ(0u, leader.get_not_responding_peers_count(60000, 2));
    cluster.network->cut("S3", true);
    append(leader, "b");
    EXPECT_EQ(1u, leader.get_not_responding_peers_count(60000, 3)) << "it lacks entry 3";
    EXPECT_TRUE(eventually("server 3 counts as silent", [&] {
        leader.request_append_entries();
        auto silent = leader.get_not_responding_peers(20);
        return silent.size() == 1 && silent.front()->get_id() == 3;
    }));
    EXPECT_EQ(0u, leader.get_num_stale_peers());
    EXPECT_TRUE(leader.check_leadership_validity());

    const peer& two = *leader.peers_.at(2);
    EXPECT_TRUE(open_server::is_excluded_from_quorum(two, 100, 50, 1));
    EXPECT_TRUE(open_server::is_excluded_from_quorum(two, 10, 50, 4));
    EXPECT_FALSE(open_server::is_excluded_from_quorum(two, 10, 50, 3));
}

TEST_F(derived_servers, find_the_peer_in_a_response) {
    std::atomic<int> named{0};
    cluster.start(manual_params(), [&](int32, cb_func::Type type, cb_func::Param* param) {
        if (type == cb_func::ReceivedAppendEntriesResp) {
            const auto* resp = static_cast<resp_msg*>(param->ctx);
            if (resp->get_peer() && resp->get_peer()->get_id() == param->peerId) ++named;
        }
        return cb_func::Ok;
    });
    cluster.elect(1);
    EXPECT_GE(named, 2);
}

TEST_F(derived_servers, put_off_elections_while_they_serve) {
    start();
    const int before = server(3).requests;
    server(2).serving_req_ = true;
    cluster.elect(2);
    EXPECT_EQ(before, server(3).requests);
    EXPECT_EQ(1, cluster.node(2).timers->pending(timer_task_type::election_timer));
    server(2).serving_req_ = false;
    cluster.elect(2);
    EXPECT_GT(server(3).requests, before) << "it asks for votes";
}

TEST_F(derived_servers, give_up_and_take_leadership) {
    start();
    server(1).become_follower();
    EXPECT_FALSE(server(1).is_leader());
    server(3).initiate_vote();
    EXPECT_TRUE(server(3).is_leader());
}

TEST_F(derived_servers, repair_a_cluster_without_majority) {
    start();
    append(server(1), "a");
    cluster.node(2).stop();
    cluster.node(3).stop();
    auto alone = config_of({"S1"});
    alone->set_log_idx(server(1).get_config()->get_log_idx());
    {
        std::lock_guard<std::recursive_mutex> guard(server(1).lock_);
        server(1).reconfigure(alone);
    }
    EXPECT_EQ(1u, server(1).get_config()->get_servers().size());
    EXPECT_EQ(1u, cluster.node(1).mgr->load_config()->get_servers().size());
    EXPECT_EQ(1, server(1).get_num_voting_members());
    EXPECT_TRUE(server(1).peers_.empty());
    EXPECT_EQ("b@3", value_of(*append(server(1), "b")));
}

TEST(derived_over_asio, every_request_goes_through_process_req) {
    asio_service_options options;
    options.thread_pool_size_ = 2;
    auto service = cs_new<asio_service>(options);
    struct member {
        explicit member(int32 id)
            : id(id), endpoint("127.0.0.1:" + std::to_string(port.number())) {}
        const int32 id;
        reserved_port port;
        const std::string endpoint;
        ptr<rpc_listener> listener;
        ptr<memory_state_mgr> mgr;
        ptr<open_server> server;
    } members[] = {member(1), member(2)};
    for (member& m : members) {
        ptr<logger> no_log;
        m.mgr =
            cs_new<memory_state_mgr>(m.id, config_of({members[0].endpoint, members[1].endpoint}));
        m.listener = service->create_rpc_listener(static_cast<ushort>(m.port.number()), no_log);
        ASSERT_TRUE(m.listener);
        auto* parts = new context(m.mgr, cs_new<memory_state_machine>(), m.listener, no_log,
                                  service, service, quick_params());
        m.server = cs_new<open_server>(parts);
        ptr<msg_handler> handler = m.server;
        m.listener->listen(handler);
    }
    auto leader = [&]() -> member* {
        for (member& m : members) {
            if (m.server->is_leader()) return &m;
        }
        return nullptr;
    };
    ASSERT_TRUE(eventually("a leader", [&] { return leader() != nullptr; }));
    EXPECT_NE("", value_of(*append(*leader()->server, "a")));
    for (member& m : members) {
        if (&m == leader()) continue;
        EXPECT_GT(m.server->requests, 0);
    }
    for (member& m : members) m.server->shutdown();
    for (member& m : members) {
        m.listener->stop();
        m.listener->shutdown();
    }
    service->stop();
}

}  // namespace test
}  // namespace nuraft
