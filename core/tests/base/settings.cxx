#include <gtest/gtest.h>

#include "asio_service_options.hxx"
#include "context.hxx"
#include "global_mgr.hxx"
#include "logger.hxx"
#include "raft_params.hxx"
#include "raft_server.hxx"
#include "req_msg.hxx"
#include "resp_msg.hxx"
#include "rpc_exception.hxx"

using namespace nuraft;

TEST(raft_params, documented_defaults) {
    raft_params p;
    EXPECT_EQ(500, p.election_timeout_upper_bound_);
    EXPECT_EQ(250, p.election_timeout_lower_bound_);
    EXPECT_EQ(125, p.heart_beat_interval_);
    EXPECT_EQ(50, p.rpc_failure_backoff_);
    EXPECT_EQ(1000, p.log_sync_batch_size_);
    EXPECT_EQ(99999, p.log_sync_stop_gap_);
    EXPECT_EQ(0, p.snapshot_distance_);
    EXPECT_EQ(0, p.snapshot_block_size_);
    EXPECT_EQ(0, p.snapshot_sync_ctx_timeout_);
    EXPECT_FALSE(p.enable_randomized_snapshot_creation_);
    EXPECT_EQ(100, p.max_append_size_);
    EXPECT_EQ(100000, p.reserved_log_items_);
    EXPECT_EQ(3000, p.client_req_timeout_);
    EXPECT_EQ(200, p.fresh_log_gap_);
    EXPECT_EQ(2000, p.stale_log_gap_);
    EXPECT_EQ(0, p.custom_commit_quorum_size_);
    EXPECT_EQ(0, p.custom_election_quorum_size_);
    EXPECT_EQ(0, p.leadership_expiry_);
    EXPECT_EQ(0, p.leadership_transfer_min_wait_time_);
    EXPECT_TRUE(p.allow_temporary_zero_priority_leader_);
    EXPECT_FALSE(p.auto_forwarding_);
    EXPECT_EQ(10, p.auto_forwarding_max_connections_);
    EXPECT_TRUE(p.use_bg_thread_for_urgent_commit_);
    EXPECT_FALSE(p.exclude_snp_receiver_from_quorum_);
    EXPECT_FALSE(p.auto_adjust_quorum_for_small_cluster_);
    EXPECT_EQ(raft_params::dual_mutex, p.locking_method_type_);
    EXPECT_EQ(raft_params::blocking, p.return_method_);
    EXPECT_EQ(0, p.auto_forwarding_req_timeout_);
    EXPECT_EQ(0, p.grace_period_of_lagging_state_machine_);
    EXPECT_FALSE(p.use_new_joiner_type_);
    EXPECT_FALSE(p.use_bg_thread_for_snapshot_io_);
    EXPECT_FALSE(p.use_full_consensus_among_healthy_members_);
    EXPECT_FALSE(p.track_peers_sm_commit_idx_);
    EXPECT_FALSE(p.parallel_log_appending_);
    EXPECT_EQ(0, p.max_log_gap_in_stream_);
    EXPECT_EQ(0, p.max_bytes_in_flight_in_stream_);
    EXPECT_EQ(raft_params::arithmetic_decay, p.priority_decay_method_);
    EXPECT_FALSE(p.wait_for_sm_catchup_on_becoming_leader_);
}

TEST(raft_params, each_setter_sets_its_field) {
    raft_params p;
    raft_params& chained = p.with_election_timeout_upper(1)
                               .with_election_timeout_lower(2)
                               .with_hb_interval(3)
                               .with_rpc_failure_backoff(4)
                               .with_max_append_size(5)
                               .with_log_sync_batch_size(6)
                               .with_log_sync_stopping_gap(7)
                               .with_snapshot_enabled(8)
                               .with_randomized_snapshot_creation_enabled(true)
                               .with_snapshot_sync_block_size(9)
                               .with_snapshot_sync_ctx_timeout(10)
                               .with_reserved_log_items(11)
                               .with_client_req_timeout(12)
                               .with_auto_forwarding(true)
                               .with_fresh_log_gap(13)
                               .with_stale_log_gap(14)
                               .with_custom_commit_quorum_size(15)
                               .with_custom_election_quorum_size(16)
                               .with_leadership_expiry(17)
                               .with_auto_forwarding_req_timeout(18);
    EXPECT_EQ(&p, &chained);
    EXPECT_EQ(1, p.election_timeout_upper_bound_);
    EXPECT_EQ(2, p.election_timeout_lower_bound_);
    EXPECT_EQ(3, p.heart_beat_interval_);
    EXPECT_EQ(4, p.rpc_failure_backoff_);
    EXPECT_EQ(5, p.max_append_size_);
    EXPECT_EQ(6, p.log_sync_batch_size_);
    EXPECT_EQ(7, p.log_sync_stop_gap_);
    EXPECT_EQ(8, p.snapshot_distance_);
    EXPECT_TRUE(p.enable_randomized_snapshot_creation_);
    EXPECT_EQ(9, p.snapshot_block_size_);
    EXPECT_EQ(10, p.snapshot_sync_ctx_timeout_);
    EXPECT_EQ(11, p.reserved_log_items_);
    EXPECT_EQ(12, p.client_req_timeout_);
    EXPECT_TRUE(p.auto_forwarding_);
    EXPECT_EQ(13, p.fresh_log_gap_);
    EXPECT_EQ(14, p.stale_log_gap_);
    EXPECT_EQ(15, p.custom_commit_quorum_size_);
    EXPECT_EQ(16, p.custom_election_quorum_size_);
    EXPECT_EQ(17, p.leadership_expiry_);
    EXPECT_EQ(18, p.auto_forwarding_req_timeout_);
}

TEST(raft_params, slowest_heartbeat) {
    raft_params p;
    EXPECT_EQ(188, p.max_hb_interval());
    p.with_hb_interval(240);
    EXPECT_EQ(240, p.max_hb_interval());
}

TEST(limits, copies_carry_all_fields) {
    raft_server::limits from;
    int32 value = 100;
    for (std::atomic<int32>* field :
         {&from.pre_vote_rejection_limit_, &from.warning_limit_, &from.response_limit_,
          &from.leadership_limit_, &from.reconnect_limit_, &from.leave_limit_, &from.vote_limit_,
          &from.busy_connection_limit_, &from.full_consensus_leader_limit_,
          &from.full_consensus_follower_limit_}) {
        *field = ++value;
    }
    raft_server::limits constructed(from);
    raft_server::limits assigned;
    assigned = from;
    for (const raft_server::limits* to : {&constructed, &assigned}) {
        EXPECT_EQ(101, to->pre_vote_rejection_limit_);
        EXPECT_EQ(102, to->warning_limit_);
        EXPECT_EQ(103, to->response_limit_);
        EXPECT_EQ(104, to->leadership_limit_);
        EXPECT_EQ(105, to->reconnect_limit_);
        EXPECT_EQ(106, to->leave_limit_);
        EXPECT_EQ(107, to->vote_limit_);
        EXPECT_EQ(108, to->busy_connection_limit_);
        EXPECT_EQ(109, to->full_consensus_leader_limit_);
        EXPECT_EQ(110, to->full_consensus_follower_limit_);
    }
}

TEST(limits, documented_defaults) {
    raft_server::limits l;
    EXPECT_EQ(20, l.pre_vote_rejection_limit_);
    EXPECT_EQ(20, l.warning_limit_);
    EXPECT_EQ(20, l.response_limit_);
    EXPECT_EQ(20, l.leadership_limit_);
    EXPECT_EQ(50, l.reconnect_limit_);
    EXPECT_EQ(5, l.leave_limit_);
    EXPECT_EQ(5, l.vote_limit_);
    EXPECT_EQ(20, l.busy_connection_limit_);
    EXPECT_EQ(4, l.full_consensus_leader_limit_);
    EXPECT_EQ(2, l.full_consensus_follower_limit_);
}

TEST(raft_server, option_structs_have_documented_defaults) {
    raft_server::init_options init;
    EXPECT_FALSE(init.skip_initial_election_timeout_);
    EXPECT_TRUE(init.start_server_in_constructor_);
    EXPECT_FALSE(init.test_mode_flag_);
    raft_server::init_options given(true, false, true);
    EXPECT_TRUE(given.skip_initial_election_timeout_);
    EXPECT_FALSE(given.start_server_in_constructor_);
    EXPECT_TRUE(given.test_mode_flag_);
    EXPECT_EQ(-1, raft_server::peer_info().id_);
    EXPECT_EQ(0u, raft_server::req_ext_params().expected_term_);
    EXPECT_FALSE(raft_server::create_snapshot_options().serialize_commit_);
}

TEST(asio_service_options, documented_defaults) {
    asio_service_options o;
    EXPECT_EQ(0u, o.thread_pool_size_);
    EXPECT_FALSE(o.enable_ssl_);
    EXPECT_FALSE(o.skip_verification_);
    EXPECT_TRUE(o.invoke_req_cb_on_empty_meta_);
    EXPECT_TRUE(o.invoke_resp_cb_on_empty_meta_);
    EXPECT_FALSE(o.replicate_log_timestamp_);
    EXPECT_FALSE(o.crc_on_entire_message_);
    EXPECT_FALSE(o.crc_on_payload_);
    EXPECT_FALSE(o.streaming_mode_);
    EXPECT_EQ(nullptr, o.custom_io_context_);
}

TEST(nuraft_global_config, documented_defaults) {
    nuraft_global_config c;
    EXPECT_EQ(1u, c.num_commit_threads_);
    EXPECT_EQ(1u, c.num_append_threads_);
    EXPECT_EQ(200u, c.max_scheduling_unit_ms_);
}

TEST(context, copies_parameters_and_replaces_them_whole) {
    raft_params given;
    given.with_hb_interval(77);
    context ctx(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, given);
    given.with_hb_interval(78);
    ptr<raft_params> first = ctx.get_params();
    EXPECT_EQ(77, first->heart_beat_interval_);
    EXPECT_EQ(nullptr, ctx.custom_global_mgr_);

    ptr<raft_params> next = cs_new<raft_params>(given);
    ctx.set_params(next);
    EXPECT_EQ(next, ctx.get_params());
    EXPECT_EQ(77, first->heart_beat_interval_);
}

TEST(context, installs_the_callback) {
    context ctx(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, raft_params());
    ctx.set_cb_func([](cb_func::Type, cb_func::Param*) { return cb_func::ReturnNull; });
    EXPECT_EQ(cb_func::ReturnNull, ctx.cb_func_.call(cb_func::HeartBeat, nullptr));
}

TEST(messages, request) {
    req_msg req(5, msg_type::append_entries_request, 1, 2, 4, 10, 9);
    EXPECT_EQ(5u, req.get_term());
    EXPECT_EQ(msg_type::append_entries_request, req.get_type());
    EXPECT_EQ(1, req.get_src());
    EXPECT_EQ(2, req.get_dst());
    EXPECT_EQ(4u, req.get_last_log_term());
    EXPECT_EQ(10u, req.get_last_log_idx());
    EXPECT_EQ(9u, req.get_commit_idx());
    EXPECT_TRUE(req.log_entries().empty());
    EXPECT_EQ(0u, req.get_extra_flags());
    req.set_extra_flags(req_msg::EXCLUDED_FROM_THE_QUORUM);
    EXPECT_EQ(1u, req.get_extra_flags());
}

TEST(messages, response) {
    ptr<resp_msg> resp = cs_new<resp_msg>(5, msg_type::append_entries_response, 2, 1);
    EXPECT_EQ(0u, resp->get_next_idx());
    EXPECT_FALSE(resp->get_accepted());
    EXPECT_EQ(0, resp->get_next_batch_size_hint_in_bytes());
    EXPECT_EQ(nullptr, resp->get_ctx());
    EXPECT_EQ(nullptr, resp->get_peer());
    EXPECT_EQ(cmd_result_code::OK, resp->get_result_code());
    EXPECT_EQ(0u, resp->get_extra_flags());
    resp->accept(11);
    EXPECT_EQ(11u, resp->get_next_idx());
    EXPECT_TRUE(resp->get_accepted());
    resp->set_extra_flags(resp_msg::SELF_MARK_DOWN);
    EXPECT_EQ(1u, resp->get_extra_flags());
}

TEST(messages, response_with_completion) {
    ptr<resp_msg> resp = cs_new<resp_msg>(5, msg_type::append_entries_response, 2, 1);
    EXPECT_FALSE(resp->has_cb());
    EXPECT_FALSE(resp->has_async_cb());
    resp->set_cb([](ptr<resp_msg> r) {
        r->accept(3);
        return r;
    });
    ptr<cmd_result<ptr<buffer>>> result = cs_new<cmd_result<ptr<buffer>>>();
    resp->set_async_cb([=] { return result; });
    EXPECT_TRUE(resp->has_cb());
    EXPECT_TRUE(resp->has_async_cb());
    EXPECT_EQ(3u, resp->call_cb(resp)->get_next_idx());
    EXPECT_EQ(result, resp->call_async_cb());
}

TEST(messages, exception_carries_its_request) {
    ptr<req_msg> req = cs_new<req_msg>(1, msg_type::ping_request, 1, 2, 0, 0, 0);
    rpc_exception e("connection refused", req);
    EXPECT_STREQ("connection refused", e.what());
    EXPECT_EQ(req, e.req());
}
