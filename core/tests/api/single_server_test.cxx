#include "doubles/asio_cluster.hxx"

// A cluster of one, and what needs no others.

namespace nuraft {
namespace test {

namespace {

struct single_server : testing::Test {
    void start(const raft_params& params) {
        node.found(config_of({node.endpoint()}));
        node.start(params);
        ASSERT_TRUE(eventually("a leader", [&] { return node.server->is_leader(); }));
    }
    void restart(const raft_params& params) {
        node.stop();
        node.start(params);
        ASSERT_TRUE(eventually("a leader", [&] { return node.server->is_leader(); }));
    }

    asio_node node{1};
};

}  // namespace

TEST_F(single_server, elects_itself_and_commits) {
    start(quick_params());
    auto result = append(*node.server, "a");
    EXPECT_TRUE(result->get_accepted());
    EXPECT_EQ(cmd_result_code::OK, result->get_result_code());
    EXPECT_EQ("a@2", value_of(*result));  // Index 1 is the first configuration of the term.
    EXPECT_EQ(2u, node.server->get_last_log_idx());
    EXPECT_EQ(1u, node.server->get_term());
    EXPECT_EQ(1, node.server->get_leader());
    EXPECT_EQ(1u, node.server->get_log_idx_at_becoming_leader());
    EXPECT_TRUE(node.server->is_initialized());
    EXPECT_TRUE(
        eventually("the index to show", [&] { return node.server->get_committed_log_idx() == 2; }));
}

TEST_F(single_server, batch_has_consecutive_indexes_and_the_result_of_the_last) {
    start(quick_params());
    auto result =
        node.server->append_entries({text_buffer("a"), text_buffer("b"), text_buffer("c")});
    EXPECT_EQ("c@4", value_of(*result));
    const std::map<ulong, std::string> expected{{2, "a"}, {3, "b"}, {4, "c"}};
    EXPECT_EQ(expected, node.sm->committed());
    const uint64_t stamp = node.mgr->log->entry_at(2)->get_timestamp();
    EXPECT_NE(0u, stamp);
    EXPECT_EQ(stamp, node.mgr->log->entry_at(4)->get_timestamp());
}

TEST_F(single_server, refuses_what_is_no_request) {
    start(quick_params());
    auto empty = node.server->append_entries({});
    EXPECT_FALSE(empty->get_accepted());
    EXPECT_EQ(cmd_result_code::OK, empty->get_result_code());
    auto null_buffer = node.server->append_entries({ptr<buffer>()});
    EXPECT_FALSE(null_buffer->get_accepted());
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, null_buffer->get_result_code());
}

TEST_F(single_server, expected_term_and_precommit_hook) {
    start(quick_params());
    std::vector<std::string> seen;
    raft_server::req_ext_params ext;
    int context = 7;
    ext.context_ = &context;
    ext.after_precommit_ = [&](const raft_server::req_ext_cb_params& p) {
        EXPECT_EQ(&context, p.context);
        seen.push_back(std::to_string(p.log_idx) + "/" + std::to_string(p.log_term));
    };
    ext.expected_term_ = node.server->get_term() + 1;
    auto refused = node.server->append_entries_ext({text_buffer("a")}, ext);
    EXPECT_FALSE(refused->get_accepted());
    EXPECT_EQ(cmd_result_code::TERM_MISMATCH, refused->get_result_code());
    EXPECT_EQ(1u, node.server->get_last_log_idx());
    EXPECT_TRUE(seen.empty());

    ext.expected_term_ = node.server->get_term();
    auto taken = node.server->append_entries_ext({text_buffer("a"), text_buffer("b")}, ext);
    EXPECT_EQ(cmd_result_code::OK, taken->get_result_code());
    EXPECT_EQ((std::vector<std::string>{"2/1", "3/1"}), seen);
}

TEST_F(single_server, async_results_come_in_commit_order) {
    raft_params p = quick_params();
    p.return_method_ = raft_params::async_handler;
    start(p);
    node.sm->close_gate();
    trace order;
    std::vector<ptr<cmd_result<ptr<buffer>>>> results;
    for (int i = 0; i < 20; ++i) {
        results.push_back(append(*node.server, std::to_string(i)));
        ASSERT_TRUE(results.back()->get_accepted());
        EXPECT_FALSE(results.back()->has_result());
        results.back()->when_ready([&, i](ptr<buffer>& value, ptr<std::exception>& error) {
            EXPECT_FALSE(error);
            EXPECT_EQ(std::to_string(i) + "@" + std::to_string(i + 2), text_of(*value));
            order.add(std::to_string(i));
        });
    }
    node.sm->open_gate();
    ASSERT_TRUE(eventually("20 results", [&] { return order.lines().size() == 20; }));
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(std::to_string(i), order.lines()[static_cast<size_t>(i)]);
}

TEST_F(single_server, asynchronous_replication_answers_with_the_precommit_value) {
    auto config = config_of({node.endpoint()});
    config->set_async_replication(true);
    node.found(config);
    node.start(quick_params());
    ASSERT_TRUE(eventually("a leader", [&] { return node.server->is_leader(); }));
    node.sm->close_gate();
    auto result = append(*node.server, "a");
    EXPECT_TRUE(result->get_accepted());
    EXPECT_EQ(cmd_result_code::OK, result->get_result_code());
    EXPECT_EQ("pre a", value_of(*result));
    node.sm->open_gate();
    EXPECT_TRUE(eventually("the commit all the same", [&] { return node.sm->has("a"); }));
}

TEST_F(single_server, blocking_call_times_out_and_the_entry_commits_later) {
    raft_params p = quick_params();
    p.with_client_req_timeout(30);
    start(p);
    node.sm->close_gate();
    auto result = append(*node.server, "slow");
    EXPECT_TRUE(result->get_accepted());
    EXPECT_EQ(cmd_result_code::TIMEOUT, result->get_result_code());
    EXPECT_EQ("", value_of(*result));
    node.sm->open_gate();
    EXPECT_TRUE(eventually("the entry applied", [&] { return node.sm->has("slow"); }));
}

TEST_F(single_server, pause_stops_applying_only) {
    raft_params p = quick_params();
    p.return_method_ = raft_params::async_handler;
    start(p);
    ASSERT_TRUE(
        eventually("index 1 applied", [&] { return node.server->get_committed_log_idx() == 1; }));
    node.server->pause_state_machine_execution(1000);
    EXPECT_TRUE(node.server->is_state_machine_execution_paused());
    EXPECT_TRUE(node.server->wait_for_state_machine_pause(1000));
    auto result = append(*node.server, "a");
    EXPECT_TRUE(eventually("agreement while paused",
                           [&] { return node.server->get_target_committed_log_idx() == 2; }));
    EXPECT_FALSE(result->has_result());
    EXPECT_EQ(1u, node.server->get_committed_log_idx());
    node.server->resume_state_machine_execution();
    EXPECT_EQ("a@2", value_of(*result));
    EXPECT_FALSE(node.server->is_state_machine_execution_paused());
}

TEST_F(single_server, watchers_complete_at_their_index) {
    start(quick_params());
    auto past = node.server->wait_for_state_machine_commit(0);
    EXPECT_TRUE(past->has_result());
    EXPECT_TRUE(past->get());
    auto next = node.server->wait_for_state_machine_commit(2);
    auto also = node.server->wait_for_state_machine_commit(2);
    auto never = node.server->wait_for_state_machine_commit(1000);
    append(*node.server, "a");
    EXPECT_TRUE(next->get());
    EXPECT_TRUE(also->get());
    EXPECT_FALSE(never->has_result());
    node.server->shutdown();
    EXPECT_FALSE(never->get());
    EXPECT_EQ(cmd_result_code::CANCELLED, never->get_result_code());
}

TEST_F(single_server, state_survives_a_restart) {
    start(quick_params());
    append(*node.server, "a");
    restart(quick_params());
    EXPECT_EQ(2u, node.server->get_term());
    EXPECT_EQ("b@4", value_of(*append(*node.server, "b")));
    const std::map<ulong, std::string> expected{{2, "a"}, {4, "b"}};
    EXPECT_EQ(expected, node.sm->committed());
}

TEST_F(single_server, user_context_and_member_settings) {
    start(quick_params());
    node.server->set_user_ctx("context");
    EXPECT_TRUE(
        eventually("the user context", [&] { return node.server->get_user_ctx() == "context"; }));
    srv_config changed(1, 3, node.endpoint(), "aux", false, 50);
    EXPECT_TRUE(node.server->update_srv_config(changed));
    EXPECT_TRUE(eventually("the settings", [&] { return node.server->get_aux(1) == "aux"; }));
    EXPECT_EQ(3, node.server->get_dc_id(1));
    EXPECT_EQ(-1, node.server->get_dc_id(2));
    EXPECT_EQ("context", node.server->get_user_ctx());
    EXPECT_FALSE(node.server->update_srv_config(srv_config(9, "127.0.0.1:1")));
}

TEST_F(single_server, parameters_are_corrected_and_replaced) {
    raft_params p = quick_params();
    p.with_hb_interval(400);
    start(p);
    EXPECT_EQ(800, node.server->get_current_params().election_timeout_lower_bound_);
    EXPECT_EQ(1600, node.server->get_current_params().election_timeout_upper_bound_);
    node.server->update_params(quick_params());
    EXPECT_EQ(300, node.server->get_current_params().election_timeout_lower_bound_);
    EXPECT_EQ("a@2", value_of(*append(*node.server, "a")));
}

TEST_F(single_server, skipping_the_election_timer_lasts) {
    node.found(config_of({node.endpoint()}));
    raft_server::init_options opt;
    opt.skip_initial_election_timeout_ = true;
    node.start(quick_params(), opt);
    EXPECT_FALSE(node.mgr->read_state()->is_election_timer_allowed());
    node.stop();
    node.start(quick_params());
    EXPECT_FALSE(node.server->is_initialized());
    node.server->restart_election_timer();
    EXPECT_TRUE(eventually("a leader", [&] { return node.server->is_leader(); }));
}

TEST_F(single_server, broken_log_store_stops_the_server_not_the_process) {
    start(quick_params());
    node.server->pause_state_machine_execution(1000);
    raft_params p = quick_params();
    p.return_method_ = raft_params::async_handler;
    node.server->update_params(p);
    memory_log_store& log = *node.mgr->log;
    auto lost = append(*node.server, "lost");
    // Another thread may store it, and a little later.
    ASSERT_TRUE(eventually("the entry in the log", [&] {
        return log.last_entry()->get_val_type() == log_val_type::app_log;
    }));
    log.compact(log.next_slot() - 1);  // Behind the server's back.
    node.server->resume_state_machine_execution();
    ASSERT_TRUE(eventually("system_exit", [&] { return !node.mgr->exits().empty(); }));
    EXPECT_EQ(raft_err::N19_bad_log_idx_for_term, node.mgr->exits().front());
    EXPECT_EQ("", value_of(*lost));
    EXPECT_EQ(cmd_result_code::CANCELLED, lost->get_result_code());
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, append(*node.server, "late")->get_result_code());
}

TEST_F(single_server, exception_of_the_state_machine_stops_the_server_not_the_process) {
    class throwing : public memory_state_machine {
    public:
        ptr<buffer> commit_ext(const ext_op_params&) override {
            throw std::runtime_error("thrown by the test");
        }
    };
    node.sm = cs_new<throwing>();
    start(quick_params());
    auto result = append(*node.server, "a");
    EXPECT_EQ(cmd_result_code::CANCELLED, result->get_result_code());
    ASSERT_EQ(1u, node.mgr->exits().size());
    EXPECT_EQ(raft_err::N20_background_commit_err, node.mgr->exits().front());
    EXPECT_TRUE(node.log->contains("thrown by the test"));
    EXPECT_FALSE(node.server->is_leader());
}

TEST_F(single_server, exception_of_the_log_store_leaves_nobody_waiting) {
    class throwing : public memory_state_mgr {
    public:
        using memory_state_mgr::memory_state_mgr;
        class broken_log : public memory_log_store {
        public:
            ulong append(ptr<log_entry>& entry) override {
                if (entry->get_val_type() == log_val_type::app_log) {
                    throw std::runtime_error("no space left");
                }
                return memory_log_store::append(entry);
            }
        };
        ptr<log_store> load_log_store() override { return broken; }
        ptr<broken_log> broken = cs_new<broken_log>();
    };
    auto config = config_of({node.endpoint()});
    config->set_async_replication(true);  // Then the caller waits for the write itself.
    node.mgr = cs_new<throwing>(1, config);
    node.start(quick_params());
    ASSERT_TRUE(eventually("a leader", [&] { return node.server->is_leader(); }));
    auto result = append(*node.server, "a");
    EXPECT_EQ(cmd_result_code::CANCELLED, result->get_result_code());
    ASSERT_TRUE(eventually("system_exit", [&] { return !node.mgr->exits().empty(); }));
    EXPECT_TRUE(node.log->contains("no space left"));
}

TEST_F(single_server, refuses_to_skip_entries_it_never_applied) {
    start(quick_params());
    append(*node.server, "a");
    node.stop();
    node.mgr->log->compact(2);
    node.sm = cs_new<memory_state_machine>();  // Lost its data, and there is no snapshot.
    node.start(quick_params());
    ASSERT_EQ(1u, node.mgr->exits().size());
    EXPECT_EQ(raft_err::N19_bad_log_idx_for_term, node.mgr->exits().front());
    EXPECT_TRUE(node.log->contains("the log starts at 3"));
}

TEST(configuration_entry, is_saved_offline) {
    auto mgr_impl = cs_new<memory_state_mgr>(1, config_of({"a:1"}));
    ptr<state_mgr> mgr = mgr_impl;
    std::string error;
    ptr<log_entry> none;
    EXPECT_FALSE(raft_server::apply_config_log_entry(none, mgr, error));
    EXPECT_EQ("the log entry is null", error);
    auto command = cs_new<log_entry>(1, text_buffer("x"));
    EXPECT_FALSE(raft_server::apply_config_log_entry(command, mgr, error));
    auto entry = cs_new<log_entry>(1, config_of({"a:1", "b:2"})->serialize(), log_val_type::conf);
    EXPECT_TRUE(raft_server::apply_config_log_entry(entry, mgr, error));
    EXPECT_EQ(2u, mgr->load_config()->get_servers().size());
}

}  // namespace test
}  // namespace nuraft
