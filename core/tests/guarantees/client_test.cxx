#include <atomic>
#include <thread>

#include "doubles/asio_cluster.hxx"
#include "guarantees/guarantee.hxx"
#include "libnuraft/debugging_options.hxx"

// What a client of the API sees: guarantees 28 to 33.

namespace nuraft {
namespace test {

namespace {

std::string text_in(cmd_result<ptr<buffer>>& result) {
    const ptr<buffer>& value = result.get();
    return value ? text_of(*value) : std::string();
}

raft_params forwarding_params(raft_params::return_method_type method) {
    raft_params p = quick_params();
    p.return_method_ = method;
    p.with_auto_forwarding(true);
    p.auto_forwarding_max_connections_ = 2;
    return p;
}

}  // namespace

TEST(guarantee, g28a_blocking_append_returns_the_value_of_the_state_machine) {
    raft_params p = manual_params();
    stepped_cluster cluster(1);
    cluster.lead(p);
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(result->get_accepted());
    EXPECT_EQ(cmd_result_code::OK, result->get_result_code());
    EXPECT_EQ("a@2", text_in(*result));
    EXPECT_EQ("c@4", text_in(*cluster.append_batch(1, {"b", "c"}))) << "of the last entry";
}

TEST(guarantee, g28b_async_append_returns_accepted_and_unfinished) {
    stepped_cluster cluster(1);
    cluster.lead();
    cluster.node(1).sm->close_gate();
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(result->get_accepted());
    EXPECT_FALSE(result->has_result());
    EXPECT_EQ(cmd_result_code::RESULT_NOT_EXIST_YET, result->get_result_code());
    trace seen;
    result->when_ready([&](ptr<buffer>& value, ptr<std::exception>& error) {
        if (value && !error) seen.add(text_of(*value));
    });
    cluster.node(1).sm->open_gate();
    EXPECT_EQ("a@2", text_in(*result));
    EXPECT_TRUE(eventually("the handler", [&] { return seen.count("a@2") == 1; }));
}

TEST(guarantee, g28c_handler_sees_the_value_even_if_the_apply_was_faster) {
    stepped_cluster cluster(1);
    cluster.lead();
    // The call is still under way while its entry is applied.
    debugging_options::get_instance().handle_cli_req_sleep_us_ = 20000;
    auto result = cluster.append(1, "a");
    debugging_options::get_instance().handle_cli_req_sleep_us_ = 0;
    ASSERT_TRUE(eventually("the result", [&] { return result->has_result(); }));
    std::string seen;
    result->when_ready(
        [&](ptr<buffer>& value, ptr<std::exception>&) { seen = value ? text_of(*value) : ""; });
    EXPECT_EQ("a@2", seen);
}

TEST(guarantee, g29_lost_leadership_cancels_what_is_unfinished) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.network->hold(2, true);
    cluster.network->hold(3, true);
    std::vector<ptr<cmd_result<ptr<buffer>>>> results;
    for (int i = 0; i < 5; ++i) results.push_back(cluster.append(1, std::to_string(i)));
    for (auto& r : results) EXPECT_FALSE(r->has_result());
    cluster.server(1).yield_leadership(true);
    for (auto& r : results) {
        ASSERT_TRUE(r->has_result());
        EXPECT_EQ(cmd_result_code::CANCELLED, r->get_result_code());
        EXPECT_FALSE(r->get());
    }
    auto refused = cluster.append(1, "more");
    EXPECT_FALSE(refused->get_accepted());
    EXPECT_EQ(cmd_result_code::NOT_LEADER, refused->get_result_code());
}

TEST(guarantee, g30_wrong_expected_term_appends_nothing) {
    stepped_cluster cluster(1);
    cluster.lead();
    const ulong last = cluster.server(1).get_last_log_idx();
    int calls = 0;
    raft_server::req_ext_params ext;
    ext.expected_term_ = cluster.server(1).get_term() + 1;
    ext.after_precommit_ = [&](const raft_server::req_ext_cb_params&) { ++calls; };
    auto result = cluster.server(1).append_entries_ext({text_buffer("a")}, ext);
    EXPECT_FALSE(result->get_accepted());
    EXPECT_EQ(cmd_result_code::TERM_MISMATCH, result->get_result_code());
    EXPECT_EQ(last, cluster.server(1).get_last_log_idx());
    EXPECT_EQ(0, calls);

    ext.expected_term_ = cluster.server(1).get_term();
    result = cluster.server(1).append_entries_ext({text_buffer("a")}, ext);
    EXPECT_TRUE(result->get_accepted());
    EXPECT_EQ(1, calls);
}

TEST(guarantee, g31_after_precommit_sees_each_entry_in_order) {
    stepped_cluster cluster(1);
    cluster.lead();
    const ulong last = cluster.server(1).get_last_log_idx();
    const ulong term = cluster.server(1).get_term();
    int opaque = 0;
    std::vector<ulong> indices;
    raft_server::req_ext_params ext;
    ext.context_ = &opaque;
    ext.after_precommit_ = [&](const raft_server::req_ext_cb_params& p) {
        indices.push_back(p.log_idx);
        EXPECT_EQ(term, p.log_term);
        EXPECT_EQ(&opaque, p.context);
    };
    cluster.server(1).append_entries_ext({text_buffer("a"), text_buffer("b"), text_buffer("c")},
                                         ext);
    EXPECT_EQ((std::vector<ulong>{last + 1, last + 2, last + 3}), indices);
}

TEST(guarantee, g32a_few_forwarding_connections_serve_many_blocking_callers) {
    asio_cluster cluster(3, forwarding_params(raft_params::blocking));
    ASSERT_TRUE(cluster.wait_for_leader());
    raft_server& follower = *cluster.any_follower().server;
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int c = 0; c < 12; ++c) {
        callers.emplace_back([&, c] {
            const std::string text = "caller " + std::to_string(c);
            auto result = append(follower, text);
            if (!result->get_accepted() || text_in(*result).rfind(text + "@", 0) != 0) ++wrong;
        });
    }
    for (std::thread& t : callers) t.join();
    EXPECT_EQ(0, wrong);
}

TEST(guarantee, g32b_few_forwarding_connections_serve_many_async_callers) {
    asio_cluster cluster(3, forwarding_params(raft_params::async_handler));
    ASSERT_TRUE(cluster.wait_for_leader());
    raft_server& follower = *cluster.any_follower().server;
    std::vector<ptr<cmd_result<ptr<buffer>>>> results;
    for (int i = 0; i < 50; ++i) results.push_back(append(follower, std::to_string(i)));
    for (size_t i = 0; i < results.size(); ++i) {
        EXPECT_EQ(0u, text_in(*results[i]).find(std::to_string(i) + "@"));
        EXPECT_EQ(cmd_result_code::OK, results[i]->get_result_code());
    }
}

TEST(guarantee, g32c_forwarding_timeout_is_not_accepted_and_later_requests_work) {
    raft_params p = forwarding_params(raft_params::async_handler);
    p.with_auto_forwarding_req_timeout(200);
    asio_cluster cluster(3, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    raft_server& follower = *cluster.any_follower().server;
    leader->sm->close_gate();
    auto late = append(follower, "late");
    EXPECT_TRUE(eventually("the timeout", [&] { return late->has_result(); }));
    leader->sm->open_gate();
    EXPECT_FALSE(late->get_accepted());
    EXPECT_NE(cmd_result_code::OK, late->get_result_code());
    EXPECT_TRUE(eventually("a request that works", [&] {
        auto next = append(follower, "next");
        return text_in(*next).rfind("next@", 0) == 0;
    }));
}

TEST(guarantee, g33_watchers_complete_on_any_server_once_the_index_is_applied) {
    stepped_cluster cluster(3);
    cluster.lead();
    const ulong index = cluster.server(1).get_last_log_idx() + 1;
    std::vector<ptr<cmd_result<bool>>> watchers;
    for (int32 id : {1, 2, 3}) {
        watchers.push_back(cluster.server(id).wait_for_state_machine_commit(index));
        watchers.push_back(cluster.server(id).wait_for_state_machine_commit(index));
    }
    for (auto& w : watchers) EXPECT_FALSE(w->has_result());
    cluster.append(1, "a");
    ASSERT_TRUE(cluster.settle(1));
    for (auto& w : watchers) {
        ASSERT_TRUE(eventually("the watcher", [&] { return w->has_result(); }));
        EXPECT_TRUE(w->get());
        EXPECT_EQ(cmd_result_code::OK, w->get_result_code());
    }
    auto known = cluster.server(2).wait_for_state_machine_commit(index);
    EXPECT_TRUE(known->has_result()) << "applied already";
    EXPECT_TRUE(known->get());
}

}  // namespace test
}  // namespace nuraft
