#include <atomic>

#include "doubles/sync_network.hxx"
#include "doubles/waiting.hxx"

// Requests that reach a server through a transport of the program's own (api 25), on a network
// that delivers inline.

namespace nuraft {
namespace test {

namespace {

struct requests : testing::Test {
    void lead(int32 servers_expected, raft_params p = manual_params()) {
        cluster.start(p);
        cluster.elect(1);
        ASSERT_TRUE(leader().is_leader());
        ASSERT_EQ(static_cast<size_t>(servers_expected),
                  leader().get_config()->get_servers().size());
    }
    raft_server& leader() { return *cluster.node(1).server; }
    ptr<resp_msg> deliver(req_msg& req) { return cluster.network->deliver("S1", req); }
    ptr<req_msg> client_request(const std::string& text,
                                log_val_type type = log_val_type::app_log) {
        auto req = cs_new<req_msg>(0, msg_type::client_request, 2, 1, 0, 0, 0);
        req->log_entries().push_back(cs_new<log_entry>(0, text_buffer(text), type));
        return req;
    }

    sync_cluster cluster{3};
};

}  // namespace

TEST_F(requests, whole_cluster_in_one_call_stack) {
    lead(3);
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(cmd_result_code::OK,
                  leader().append_entries({text_buffer(std::to_string(i))})->get_result_code());
    }
    for (int32 id : {2, 3}) {
        EXPECT_TRUE(eventually("all entries", [&] { return cluster.node(id).sm->has("9"); }));
    }
}

TEST_F(requests, leadership_moves_in_one_call_stack) {
    // The resignation request and the append that answers it are nested: a server is entered again
    // while it sends.
    lead(3);
    EXPECT_TRUE(cluster.node(2).server->request_leadership());
    EXPECT_TRUE(eventually("server 2 to lead", [&] {
        cluster.node(1).timers->fire(timer_task_type::heartbeat_timer);
        return cluster.node(2).server->is_leader();
    }));
    EXPECT_EQ(cmd_result_code::OK,
              cluster.node(2).server->append_entries({text_buffer("a")})->get_result_code());
}

TEST_F(requests, of_a_client_blocking) {
    lead(3);
    ptr<resp_msg> resp = deliver(*client_request("a"));
    ASSERT_TRUE(resp);
    EXPECT_EQ(msg_type::append_entries_response, resp->get_type());
    ASSERT_TRUE(resp->has_cb());
    resp = resp->call_cb(resp);
    EXPECT_TRUE(resp->get_accepted());
    EXPECT_EQ(cmd_result_code::OK, resp->get_result_code());
    EXPECT_EQ("a@2", text_of(*resp->get_ctx()));
}

TEST_F(requests, of_a_client_asynchronous) {
    raft_params p = manual_params();
    p.return_method_ = raft_params::async_handler;
    lead(3, p);
    ptr<resp_msg> resp = deliver(*client_request("a"));
    ASSERT_TRUE(resp && resp->has_async_cb());
    EXPECT_EQ("a@2", text_of(*resp->call_async_cb()->get()));
}

TEST_F(requests, of_a_client_to_a_follower) {
    lead(3);
    auto req = cs_new<req_msg>(0, msg_type::client_request, 1, 2, 0, 0, 0);
    req->log_entries().push_back(cs_new<log_entry>(0, text_buffer("a")));
    ptr<resp_msg> resp = cluster.network->deliver("S2", *req);
    ASSERT_TRUE(resp);
    EXPECT_FALSE(resp->get_accepted());
    EXPECT_EQ(cmd_result_code::NOT_LEADER, resp->get_result_code());
}

TEST_F(requests, that_smuggle_configurations_are_refused) {
    lead(3);
    ptr<resp_msg> resp = deliver(*client_request("x", log_val_type::conf));
    ASSERT_TRUE(resp);
    EXPECT_FALSE(resp->get_accepted());
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, resp->get_result_code());
    EXPECT_EQ(1u, leader().get_last_log_idx());
}

TEST_F(requests, malformed_membership) {
    lead(3);
    req_msg empty(0, msg_type::add_server_request, 2, 1, 0, 0, 0);
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, deliver(empty)->get_result_code());
    req_msg cut(0, msg_type::add_server_request, 2, 1, 0, 0, 0);
    cut.log_entries().push_back(
        cs_new<log_entry>(0, text_buffer("xy"), log_val_type::cluster_server));
    EXPECT_FALSE(deliver(cut)) << "a body that cannot be read ends the connection";
    req_msg wrong(0, msg_type::remove_server_request, 2, 1, 0, 0, 0);
    wrong.log_entries().push_back(
        cs_new<log_entry>(0, text_buffer("xyz"), log_val_type::cluster_server));
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, deliver(wrong)->get_result_code());
}

TEST_F(requests, for_somebody_else_are_dropped) {
    lead(3);
    req_msg astray(7, msg_type::append_entries_request, 2, 3, 0, 0, 0);
    EXPECT_FALSE(deliver(astray));
    EXPECT_TRUE(leader().is_leader());
}

TEST_F(requests, of_another_leader_in_the_term_are_the_programs_to_answer) {
    std::atomic<bool> answer{false};
    cluster.start(manual_params(), [&](int32 id, cb_func::Type type, cb_func::Param* param) {
        if (type != cb_func::ReceivedMisbehavingMessage) return cb_func::Ok;
        auto* pair = static_cast<cb_func::ReqResp*>(param->ctx);
        EXPECT_EQ(1, id);
        EXPECT_EQ(2, pair->req->get_src());
        if (answer) {
            pair->resp = cs_new<resp_msg>(pair->req->get_term(), msg_type::append_entries_response,
                                          1, 2, 77, false);
        }
        return cb_func::Ok;
    });
    cluster.elect(1);
    ASSERT_TRUE(leader().is_leader());
    req_msg rival(leader().get_term(), msg_type::append_entries_request, 2, 1, 0, 0, 0);
    EXPECT_FALSE(deliver(rival));
    answer = true;
    ptr<resp_msg> resp = deliver(rival);
    ASSERT_TRUE(resp);
    EXPECT_EQ(77u, resp->get_next_idx());
    EXPECT_TRUE(leader().is_leader());
}

TEST_F(requests, unknown_types_get_no_answer) {
    lead(3);
    req_msg odd(1, msg_type::other_request, 2, 1, 0, 0, 0);
    EXPECT_FALSE(deliver(odd));
}

TEST_F(requests, expected_term_of_a_custom_transport) {
    lead(3);
    raft_server::req_ext_params ext;
    ext.expected_term_ = 99;
    ptr<resp_msg> resp = cluster.network->deliver("S1", *client_request("a"), ext);
    ASSERT_TRUE(resp);
    EXPECT_EQ(cmd_result_code::TERM_MISMATCH, resp->get_result_code());
}

TEST_F(requests, after_shutdown_get_no_answer) {
    lead(3);
    leader().shutdown();
    EXPECT_FALSE(deliver(*client_request("a")));
    EXPECT_EQ(cmd_result_code::BAD_REQUEST,
              leader().append_entries({text_buffer("a")})->get_result_code());
    EXPECT_EQ(1, leader().get_id());
    EXPECT_EQ(3u, leader().get_config()->get_servers().size());
}

namespace {

/// Answers with a fixed index, and looks at the server meanwhile.
class curious_state_machine : public memory_state_machine {
public:
    uint64_t adjust_commit_index(const adjust_commit_index_params& params) override {
        if (server) {
            server->get_peer_info_all();
            server->is_leader();
        }
        peers_seen = params.peer_index_map_.size();
        return std::min<uint64_t>(params.expected_commit_index_, limit);
    }
    raft_server* server = nullptr;
    uint64_t limit = UINT64_MAX;
    size_t peers_seen = 0;
};

}  // namespace

TEST_F(requests, commit_index_may_be_held_back_by_the_state_machine) {
    raft_params p = manual_params();
    p.return_method_ = raft_params::async_handler;
    auto curious = cs_new<curious_state_machine>();
    cluster.node(1).sm = curious;
    lead(3, p);
    curious->server = &leader();
    curious->limit = 1;
    auto held = leader().append_entries({text_buffer("a")});
    EXPECT_EQ(1u, leader().get_target_committed_log_idx());
    EXPECT_EQ(3u, curious->peers_seen);
    EXPECT_EQ(1u, leader().get_expected_committed_log_idx());
    curious->limit = UINT64_MAX;
    EXPECT_EQ(2u, leader().get_expected_committed_log_idx()) << "asked anew";
    EXPECT_EQ(1u, leader().get_target_committed_log_idx()) << "and only asked";
    cluster.node(1).timers->fire(timer_task_type::heartbeat_timer);
    EXPECT_EQ("a@2", text_of(*held->get()));
}

}  // namespace test
}  // namespace nuraft
