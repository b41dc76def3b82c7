#include <algorithm>
#include <thread>

#include "guarantees/guarantee.hxx"

// Replication and commit: guarantees 15 to 23.

namespace nuraft {
namespace test {

namespace {

/// Of all append requests sent so far, the most entries in one.
size_t most_entries(stepped_cluster& cluster) {
    size_t most = 0;
    for (const ptr<req_msg>& m : cluster.network->sent()) {
        if (m->get_type() == msg_type::append_entries_request) {
            most = std::max(most, m->log_entries().size());
        }
    }
    return most;
}

std::vector<std::string> numbered(int count) {
    std::vector<std::string> texts;
    for (int i = 0; i < count; ++i) texts.push_back("entry " + std::to_string(i));
    return texts;
}

}  // namespace

TEST(guarantee, g15_two_message_rounds_store_and_commit) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.append_batch(1, numbered(10));
    const ulong last = cluster.server(1).get_last_log_idx();
    cluster.network->round();
    for (int32 id : {2, 3}) {
        EXPECT_EQ(last, cluster.server(id).get_last_log_idx()) << "the first round stores";
        EXPECT_LT(cluster.server(id).get_target_committed_log_idx(), last);
    }
    EXPECT_EQ(last, cluster.server(1).get_target_committed_log_idx());
    cluster.network->round();
    for (int32 id : {2, 3}) {
        EXPECT_EQ(last, cluster.server(id).get_target_committed_log_idx())
            << "the second announces the commit";
        EXPECT_TRUE(cluster.server(id).wait_for_state_machine_commit(last)->get());
        EXPECT_EQ(content_of(*cluster.node(1).mgr->log), content_of(*cluster.node(id).mgr->log));
    }
    EXPECT_TRUE(cluster.server(1).wait_for_state_machine_commit(last)->get());
    EXPECT_EQ(cluster.node(1).sm->committed(), cluster.node(2).sm->committed());
    EXPECT_EQ(cluster.node(1).sm->committed(), cluster.node(3).sm->committed());
}

TEST(guarantee, g16_conflicting_tail_is_rolled_back_in_descending_order) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.append(1, "kept");
    ASSERT_TRUE(cluster.settle(1));
    const ulong kept = cluster.server(1).get_last_log_idx();
    cluster.network->isolate(1, true);
    auto lost1 = cluster.append(1, "lost 1");
    auto lost2 = cluster.append(1, "lost 2");
    ASSERT_TRUE(cluster.elect(2));
    cluster.append(2, "new");

    trace steps;
    cluster.node(1).sm->record_in(&steps);
    cluster.network->isolate(1, false);
    ASSERT_TRUE(cluster.beat_until(2, "the new entry at the old leader",
                                   [&] { return cluster.node(1).sm->has("new"); }));
    cluster.node(1).sm->record_in(nullptr);

    EXPECT_EQ(content_of(*cluster.node(2).mgr->log), content_of(*cluster.node(1).mgr->log));
    std::vector<std::string> rolled_back;
    for (const std::string& line : steps.lines()) {
        if (line.rfind("rollback", 0) == 0) rolled_back.push_back(line);
    }
    const std::vector<std::string> expected = {"rollback " + std::to_string(kept + 2) + " lost 2",
                                               "rollback " + std::to_string(kept + 1) + " lost 1"};
    EXPECT_EQ(expected, rolled_back);
    for (const auto& lost : {lost1, lost2}) {
        EXPECT_EQ(cmd_result_code::CANCELLED, lost->get_result_code());
        EXPECT_FALSE(lost->get());
    }
}

TEST(guarantee, g17_append_of_a_deposed_leader_is_refused_and_deposes_it) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.network->isolate(1, true);
    ASSERT_TRUE(cluster.elect(2));
    cluster.append(1, "late");
    ASSERT_TRUE(cluster.server(1).is_leader());
    cluster.network->isolate(1, false);
    ASSERT_TRUE(cluster.beat_until(1, "the old leader to learn of the new term",
                                   [&] { return !cluster.server(1).is_leader(); }));
    EXPECT_TRUE(cluster.server(2).is_leader());
    EXPECT_EQ(cluster.server(2).get_term(), cluster.server(1).get_term());
    cluster.append(2, "new");
    ASSERT_TRUE(cluster.beat_until(2, "the new leader's log",
                                   [&] { return cluster.node(1).sm->has("new"); }));
    for (int32 id : {1, 2, 3}) EXPECT_FALSE(cluster.node(id).sm->has("late")) << "server " << id;
}

TEST(guarantee, g18_append_size_of_one_ships_one_entry_per_request) {
    raft_params p = stepped_params();
    p.with_max_append_size(1);
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.append_batch(1, numbered(5));
    ASSERT_TRUE(cluster.settle(1));
    EXPECT_EQ(1u, most_entries(cluster));

    p.with_max_append_size(100);
    cluster.server(1).update_params(p);
    cluster.append_batch(1, numbered(5));
    ASSERT_TRUE(cluster.settle(1));
    EXPECT_EQ(5u, most_entries(cluster));
}

TEST(guarantee, g19a_positive_byte_hint_makes_small_steps) {
    stepped_cluster cluster(2);
    cluster.lead();
    cluster.node(2).sm->set_size_hint(1);
    cluster.beat(1);  // Its answer carries the hint.
    cluster.network->forget_sent();
    cluster.append_batch(1, numbered(10));
    ASSERT_TRUE(cluster.settle(1));
    EXPECT_EQ(1u, most_entries(cluster));
    EXPECT_EQ(10u, cluster.node(2).sm->committed().size());
}

TEST(guarantee, g19b_negative_byte_hint_stops_entries_but_no_heartbeats) {
    raft_params p = stepped_params();
    stepped_cluster cluster(2);
    cluster.lead(p);
    cluster.node(2).sm->set_size_hint(-1);
    cluster.beat(1);
    cluster.network->forget_sent();

    p.return_method_ = raft_params::blocking;
    p.with_client_req_timeout(50);
    cluster.server(1).update_params(p);
    ptr<cmd_result<ptr<buffer>>> result;
    std::atomic<bool> returned{false};
    std::thread client([&] {
        result = cluster.append(1, "a");
        returned = true;
    });
    EXPECT_TRUE(cluster.beat_until(1, "the timeout", [&] { return returned.load(); }));
    client.join();
    EXPECT_EQ(cmd_result_code::TIMEOUT, result->get_result_code());
    EXPECT_EQ(0u, most_entries(cluster));
    EXPECT_GT(cluster.network->sent(1, msg_type::append_entries_request), 0) << "heartbeats";

    cluster.node(2).sm->set_size_hint(0);
    EXPECT_TRUE(cluster.beat_until(1, "the entry, with the hint at 0 again",
                                   [&] { return cluster.node(2).sm->has("a"); }));
}

TEST(guarantee, g20_vetoed_append_moves_nothing_and_postpones_elections) {
    stepped_cluster cluster(2);
    cluster.lead();
    const ulong next = cluster.server(2).get_last_log_idx() + 1;
    cluster.decide([](int32, cb_func::Type type, cb_func::Param*) {
        return type == cb_func::GotAppendEntryReqFromLeader ? cb_func::ReturnNull : cb_func::Ok;
    });
    const int armed = cluster.node(2).timers->scheduled(timer_task_type::election_timer);
    auto result = cluster.append(1, "a");
    cluster.network->run();
    EXPECT_EQ(next, cluster.node(2).mgr->log->next_slot());
    EXPECT_FALSE(result->has_result());
    EXPECT_GT(cluster.node(2).timers->scheduled(timer_task_type::election_timer), armed);
    EXPECT_EQ(1, cluster.server(2).get_leader());

    cluster.beat(1);
    cluster.decide(nullptr);
    EXPECT_TRUE(cluster.beat_until(1, "the entry once more", [&] { return result->has_result(); }));
    // Nothing before the entry was asked for again.
    for (const ptr<req_msg>& m : cluster.network->sent()) {
        if (m->get_type() == msg_type::append_entries_request && !m->log_entries().empty()) {
            EXPECT_LE(m->get_last_log_idx() + 1, next);
        }
    }
    EXPECT_EQ(next + 1, cluster.node(2).mgr->log->next_slot());
}

TEST(guarantee, g21_lost_response_leads_to_retransmission_without_duplication) {
    stepped_cluster cluster(2);
    cluster.lead();
    trace steps;
    cluster.node(2).sm->record_in(&steps);
    cluster.node(2).mgr->log->record_in(&steps);
    auto result = cluster.append(1, "a");
    const ulong index = cluster.server(1).get_last_log_idx();
    cluster.network->deliver_requests();
    cluster.network->lose(1, 2);
    EXPECT_EQ(index, cluster.server(2).get_last_log_idx());
    EXPECT_FALSE(result->has_result());

    ASSERT_TRUE(cluster.beat_until(1, "the commit", [&] { return result->has_result(); }));
    ASSERT_TRUE(cluster.settle(1));
    cluster.node(2).sm->record_in(nullptr);
    cluster.node(2).mgr->log->record_in(nullptr);
    EXPECT_EQ(index, cluster.server(2).get_last_log_idx());
    EXPECT_EQ(1u, steps.count("append " + std::to_string(index)));
    EXPECT_EQ(0u, steps.count("write_at " + std::to_string(index)));
    EXPECT_EQ(1u, steps.count("pre_commit a"));
    EXPECT_EQ(1u, steps.count("commit a"));
}

TEST(guarantee, g22_commit_quorum_of_one_commits_locally) {
    raft_params p = stepped_params();
    stepped_cluster cluster(2);
    cluster.lead(p);
    cluster.network->isolate(2, true);
    auto waits = cluster.append(1, "waits");
    cluster.network->run();
    EXPECT_FALSE(waits->has_result());
    p.with_custom_commit_quorum_size(1);
    cluster.server(1).update_params(p);
    auto alone = cluster.append(1, "alone");
    EXPECT_TRUE(eventually("the commit", [&] { return alone->has_result(); }));
    EXPECT_EQ(cmd_result_code::OK, alone->get_result_code());
    EXPECT_EQ(cmd_result_code::OK, waits->get_result_code());
}

TEST(guarantee, g23_program_can_pin_the_commit_to_a_server) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.node(1).sm->pin_commit_to(3);
    cluster.network->isolate(3, true);
    auto result = cluster.append(1, "a");
    const ulong index = cluster.server(1).get_last_log_idx();
    for (int i = 0; i < 3; ++i) cluster.beat(1);
    EXPECT_EQ(index, cluster.server(2).get_last_log_idx()) << "a majority has it";
    EXPECT_FALSE(result->has_result());
    EXPECT_LT(cluster.server(1).get_target_committed_log_idx(), index);
    cluster.network->isolate(3, false);
    EXPECT_TRUE(cluster.beat_until(1, "the commit", [&] { return result->has_result(); }));
    EXPECT_EQ(cmd_result_code::OK, result->get_result_code());
}

}  // namespace test
}  // namespace nuraft
