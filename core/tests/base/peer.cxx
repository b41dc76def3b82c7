#include "peer.hxx"

#include <gtest/gtest.h>

#include "debugging_options.hxx"
#include "resp_msg.hxx"
#include "rpc_exception.hxx"

// A `peer` that a program makes for itself.

namespace nuraft {
namespace {

class held_client : public rpc_client {
public:
    held_client(uint64_t id, std::vector<rpc_handler>& sent) : id_(id), sent_(sent) {}
    void send(ptr<req_msg>&, rpc_handler& when_done, uint64_t) override {
        sent_.push_back(when_done);
    }
    uint64_t get_id() const override { return id_; }
    bool is_abandoned() const override { return false; }

private:
    const uint64_t id_;
    std::vector<rpc_handler>& sent_;
};

class held_factory : public rpc_client_factory {
public:
    ptr<rpc_client> create_client(const std::string& endpoint) override {
        endpoints.push_back(endpoint);
        return cs_new<held_client>(endpoints.size(), sent);
    }
    std::vector<std::string> endpoints;
    std::vector<rpc_handler> sent;
};

struct one_peer : testing::Test {
    static raft_params params() {
        raft_params p;
        p.with_hb_interval(100).with_rpc_failure_backoff(30).with_election_timeout_lower(250);
        return p;
    }
    void send(bool streaming = false) {
        auto req = cs_new<req_msg>(1, msg_type::append_entries_request, 1, 2, 0, 0, 0);
        rpc_handler done = [this](ptr<resp_msg>& resp, ptr<rpc_exception>& error) {
            answers += resp ? 1 : 0;
            errors += error ? 1 : 0;
            if (!resp) return;
            EXPECT_EQ(p, resp->get_peer());
        };
        p->send_req(p, req, done, streaming);
    }
    void answer(size_t i, bool ok) {
        ptr<resp_msg> resp;
        ptr<rpc_exception> error;
        if (ok) resp = cs_new<resp_msg>(1, msg_type::append_entries_response, 2, 1);
        if (!ok) error = cs_new<rpc_exception>("broken", nullptr);
        factory->sent.at(i)(resp, error);
    }

    ptr<held_factory> factory = cs_new<held_factory>();
    context parts{nullptr, nullptr, nullptr, nullptr, factory, nullptr, params()};
    ptr<srv_config> server = cs_new<srv_config>(2, "two:1");
    int heartbeats = 0;
    timer_task<int32>::executor on_heartbeat = [this](int32 id) { heartbeats += id; };
    ptr<logger> no_log;
    ptr<peer> p = cs_new<peer>(server, parts, on_heartbeat, no_log);
    int answers = 0;
    int errors = 0;
};

TEST_F(one_peer, has_a_client_and_a_heartbeat_task_from_the_start) {
    EXPECT_EQ(std::vector<std::string>{"two:1"}, factory->endpoints);
    EXPECT_EQ(2, p->get_id());
    EXPECT_EQ("two:1", p->get_endpoint());
    EXPECT_EQ(timer_task_type::heartbeat_timer, p->get_hb_task()->get_type());
    p->get_hb_task()->execute();
    EXPECT_EQ(2, heartbeats);
    p->enable_hb(true);
    EXPECT_TRUE(p->is_hb_enabled());
    p->enable_hb(false);
    p->get_hb_task()->execute();
    EXPECT_EQ(2, heartbeats) << "disabling cancels the task";
}

TEST_F(one_peer, heartbeats_slow_down_up_to_a_limit) {
    EXPECT_EQ(100, p->get_current_hb_interval());
    p->slow_down_hb();
    EXPECT_EQ(130, p->get_current_hb_interval());
    for (int i = 0; i < 10; ++i) p->slow_down_hb();
    EXPECT_EQ(200, p->get_current_hb_interval()) << "250 - 100 / 2";
    p->resume_hb_speed();
    EXPECT_EQ(100, p->get_current_hb_interval());
    p->set_hb_interval(70);
    EXPECT_EQ(70, p->get_current_hb_interval());
}

TEST_F(one_peer, is_busy_until_its_request_is_answered) {
    EXPECT_TRUE(p->make_busy());
    EXPECT_FALSE(p->make_busy());
    send();
    EXPECT_TRUE(p->is_busy());
    answer(0, true);
    EXPECT_FALSE(p->is_busy());
    EXPECT_EQ(1, answers);
    p->make_busy();
    p->try_set_free(msg_type::append_entries_request, true);
    EXPECT_TRUE(p->is_busy()) << "a streamed append is not what it is busy with";
    p->try_set_free(msg_type::install_snapshot_request, true);
    EXPECT_FALSE(p->is_busy());
}

TEST_F(one_peer, error_drops_the_client_and_old_answers_do_not_count) {
    send();
    send();
    answer(0, false);
    EXPECT_EQ(1, errors);
    EXPECT_TRUE(p->need_to_reconnect());
    send();
    EXPECT_EQ(2, errors) << "there is no client";
    EXPECT_TRUE(p->recreate_rpc(server, parts));
    EXPECT_FALSE(p->need_to_reconnect());
    answer(1, true);
    EXPECT_EQ(0, answers);
    EXPECT_EQ(1, p->get_stale_rpc_responses());
    send();
    answer(2, true);
    EXPECT_EQ(1, answers);
}

TEST_F(one_peer, reconnects_with_growing_delays_unless_told_otherwise) {
    parts.get_params()->heart_beat_interval_ = 60000;
    int attempts = 0;
    while (p->recreate_rpc(server, parts)) ++attempts;
    EXPECT_LT(attempts, 20);
    EXPECT_FALSE(p->recreate_rpc(server, parts));
    debugging_options::get_instance().disable_reconn_backoff_ = true;
    EXPECT_TRUE(p->recreate_rpc(server, parts));
    debugging_options::get_instance().disable_reconn_backoff_ = false;
}

TEST_F(one_peer, is_silent_after_shutdown) {
    send();
    p->enable_hb(true);
    p->shutdown();
    EXPECT_FALSE(p->is_hb_enabled());
    p->enable_hb(true);
    EXPECT_FALSE(p->is_hb_enabled());
    answer(0, true);
    send();
    EXPECT_EQ(1u, factory->sent.size());
    EXPECT_EQ(0, answers + errors);
    EXPECT_FALSE(p->recreate_rpc(server, parts));
}

TEST_F(one_peer, remembers_what_it_is_told) {
    p->set_last_streamed_log_idx(5, 9);
    EXPECT_EQ(0u, p->get_last_streamed_log_idx()) << "it was not 5";
    p->set_last_streamed_log_idx(0, 9);
    EXPECT_EQ(9u, p->get_last_streamed_log_idx());
    p->reset_stream();
    p->set_last_streamed_log_idx(0, 3);
    EXPECT_EQ(3u, p->get_last_streamed_log_idx());
    p->bytes_in_flight_add(10);
    p->bytes_in_flight_sub(4);
    EXPECT_EQ(6, p->get_bytes_in_flight());
    p->set_pending_commit();
    EXPECT_TRUE(p->clear_pending_commit());
    EXPECT_FALSE(p->clear_pending_commit());
    p->set_suppress_following_error();
    EXPECT_TRUE(p->need_to_suppress_error());
    EXPECT_FALSE(p->need_to_suppress_error());
    EXPECT_EQ(0, p->inc_stale_rpc_responses());
    EXPECT_EQ(1, p->inc_stale_rpc_responses());
    EXPECT_FALSE(p->set_self_mark_down(true));
    EXPECT_TRUE(p->set_self_mark_down(false));
    EXPECT_EQ(1, p->inc_cnt_not_applied());
    EXPECT_EQ(2, p->inc_cnt_not_applied());
    p->schedule_reconnection();
    EXPECT_FALSE(p->need_to_reconnect()) << "not before 3 s";

    EXPECT_FALSE(p->get_snapshot_sync_ctx());
    auto s = cs_new<snapshot>(7, 1, cs_new<cluster_config>());
    p->set_snapshot_in_sync(s);
    EXPECT_EQ(s, p->get_snapshot_sync_ctx()->get_snapshot());
    EXPECT_EQ(2, p->get_snapshot_sync_ctx()->get_peer_id());
    p->set_snapshot_in_sync(nullptr);
    EXPECT_FALSE(p->get_snapshot_sync_ctx());
}

}  // namespace
}  // namespace nuraft
