#include "doubles/asio_cluster.hxx"
#include "guarantees/guarantee.hxx"

// Elections: guarantees 1 to 7 and 12, 13.

namespace nuraft {
namespace test {

namespace {

/// Parameters with this lower bound: below it timers are ignored, and a leader counts as live.
raft_params with_lower_bound(int32 ms) {
    raft_params p = stepped_params();
    p.with_election_timeout_lower(ms).with_election_timeout_upper(ms + 1);
    return p;
}

constexpr int32 ages = 600000;

ptr<req_msg> vote_request(int32 from, int32 to, ulong term, ulong last_term, ulong last_index) {
    return cs_new<req_msg>(term, msg_type::request_vote_request, from, to, last_term, last_index,
                           0);
}

/// Is the vote granted? Delivered past the network, as if `from` had sent it.
bool grants(stepped_cluster& cluster, int32 from, int32 to, ulong term, ulong last_term,
            ulong last_index) {
    ptr<resp_msg> resp = cluster.network->deliver(
        cluster.node(to).endpoint, *vote_request(from, to, term, last_term, last_index));
    return resp && resp->get_accepted();
}

}  // namespace

TEST(guarantee, g01a_single_server_leads_after_start_delay_and_one_timeout) {
    raft_params p = quick_params();
    p.with_rpc_failure_backoff(20).with_election_timeout_lower(100).with_election_timeout_upper(
        200);
    asio_node node(1);
    node.found(config_of({node.endpoint()}));
    std::mutex lock;
    std::chrono::steady_clock::time_point led_at;
    raft_server::init_options opt;
    opt.raft_callback_ = [&](cb_func::Type type, cb_func::Param*) {
        std::lock_guard<std::mutex> guard(lock);
        if (type == cb_func::BecomeLeader) led_at = std::chrono::steady_clock::now();
        return cb_func::Ok;
    };
    const auto started_at = std::chrono::steady_clock::now();
    node.start(p, opt);
    ASSERT_TRUE(eventually("a leader", [&] { return node.server->is_leader(); }));
    ASSERT_TRUE(eventually("its configuration committed",
                           [&] { return node.server->get_committed_log_idx() == 1; }));
    std::lock_guard<std::mutex> guard(lock);
    EXPECT_GE(led_at - started_at, std::chrono::milliseconds(120));
    EXPECT_EQ(1u, node.server->get_term()) << "one timeout, one election";
}

TEST(guarantee, g01b_single_server_needs_no_pre_vote) {
    stepped_cluster cluster(1);
    cluster.start();
    cluster.timeout(1);
    EXPECT_TRUE(cluster.server(1).is_leader());
    EXPECT_TRUE(cluster.network->sent().empty());
    ASSERT_TRUE(cluster.settle(1));
    EXPECT_EQ(1u, cluster.server(1).get_committed_log_idx());
    ptr<log_entry> first = cluster.node(1).mgr->log->entry_at(1);
    ASSERT_TRUE(first);
    EXPECT_EQ(log_val_type::conf, first->get_val_type());
}

TEST(guarantee, g02a_skipped_election_timer_stays_off_after_restart_until_contacted) {
    stepped_cluster cluster(2);
    cluster.start(2, stepped_params(), true);
    manual_scheduler& timers = *cluster.node(2).timers;
    EXPECT_EQ(0, timers.pending(timer_task_type::election_timer));
    cluster.stop(2);
    cluster.start(2, stepped_params());
    EXPECT_EQ(0, timers.pending(timer_task_type::election_timer)) << "after a restart";
    EXPECT_EQ(0u, cluster.server(2).get_term());

    cluster.start(1, stepped_params());
    ASSERT_TRUE(cluster.elect(1));
    EXPECT_EQ(1, timers.pending(timer_task_type::election_timer)) << "once a leader was heard";
}

TEST(guarantee, g02b_skipped_election_timer_runs_once_admitted) {
    stepped_cluster cluster(1);
    cluster.lead();
    cluster.add_stranger(2);
    cluster.start(2, stepped_params(), true);
    manual_scheduler& timers = *cluster.node(2).timers;
    EXPECT_EQ(0, timers.pending(timer_task_type::election_timer));
    ASSERT_TRUE(cluster.server(1).add_srv(srv_config(2, "S2"))->get_accepted());
    ASSERT_TRUE(eventually("the timer of a member", [&] {
        cluster.beat(1);
        return timers.pending(timer_task_type::election_timer) == 1;
    }));
    EXPECT_TRUE(cluster.server(2).get_srv_config(2));
}

TEST(guarantee, g03_timer_before_the_lower_bound_changes_nothing) {
    stepped_cluster cluster(3);
    cluster.start(with_lower_bound(ages));
    cluster.timeout(1);
    EXPECT_TRUE(cluster.network->sent().empty());
    EXPECT_EQ(0u, cluster.server(1).get_term());
    EXPECT_EQ(1, cluster.node(1).timers->pending(timer_task_type::election_timer));
}

TEST(guarantee, g04_server_that_times_out_under_a_live_leader_is_rejected) {
    stepped_cluster cluster(3);
    cluster.lead();
    const ulong term = cluster.server(1).get_term();
    cluster.server(1).update_params(with_lower_bound(ages));
    cluster.server(2).update_params(with_lower_bound(ages));
    cluster.beat(1);
    cluster.network->forget_sent();

    cluster.timeout(3);
    EXPECT_EQ(2, cluster.network->sent(3, msg_type::pre_vote_request));
    EXPECT_EQ(0, cluster.network->sent(3, msg_type::request_vote_request));
    EXPECT_TRUE(cluster.server(1).is_leader());
    for (int32 id : {1, 2, 3}) EXPECT_EQ(term, cluster.server(id).get_term()) << "server " << id;
    cluster.beat(1);
    EXPECT_EQ(1, cluster.server(3).get_leader());
    cluster.append(1, "a");
    EXPECT_TRUE(cluster.settle(1));
}

TEST(guarantee, g05_pre_vote_succeeds_once_a_quorum_heard_nothing_for_the_lower_bound) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.server(2).update_params(with_lower_bound(ages));
    cluster.beat(1);
    cluster.network->isolate(1, true);
    const ulong term = cluster.server(3).get_term();
    cluster.timeout(3);
    EXPECT_EQ(term, cluster.server(3).get_term()) << "server 2 still sees the leader";
    EXPECT_FALSE(cluster.server(3).is_leader());

    // The silence exceeds a lower bound of nothing; the timer of server 2 itself never runs out.
    cluster.server(2).update_params(with_lower_bound(0));
    EXPECT_TRUE(cluster.elect(3));
    EXPECT_EQ(3, cluster.server(2).get_leader());
}

TEST(guarantee, g06_pre_vote_success_leads_to_a_vote_in_the_same_step) {
    stepped_cluster cluster(3);
    cluster.start();
    cluster.node(1).timers->fire(timer_task_type::election_timer);
    EXPECT_EQ(0u, cluster.server(1).get_term()) << "a pre-vote raises no term";
    cluster.network->round();
    ASSERT_EQ(1u, cluster.network->under_way(1, 2).size());
    ptr<req_msg> vote = cluster.network->under_way(1, 2).front();
    EXPECT_EQ(msg_type::request_vote_request, vote->get_type());
    EXPECT_EQ(1u, vote->get_term());
    EXPECT_EQ(1u, cluster.server(1).get_term());
    EXPECT_EQ(0u, cluster.server(2).get_term());
    cluster.network->round();
    EXPECT_TRUE(cluster.server(1).is_leader());
}

TEST(guarantee, g07a_voter_refuses_shorter_or_older_log) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.append(1, "a");
    ASSERT_TRUE(cluster.settle(1));
    // Server 2 holds indices 1 and 2, both of term 1.
    ASSERT_EQ(2u, cluster.server(2).get_last_log_idx());
    ASSERT_EQ(1u, cluster.server(2).get_last_log_term());
    EXPECT_FALSE(grants(cluster, 3, 2, 10, 1, 1)) << "shorter";
    EXPECT_FALSE(grants(cluster, 3, 2, 11, 0, 5)) << "of an older term, though longer";
    EXPECT_TRUE(grants(cluster, 3, 2, 12, 1, 2)) << "equal";
    EXPECT_TRUE(grants(cluster, 3, 2, 13, 2, 1)) << "of a newer term, though shorter";
}

TEST(guarantee, g07b_grants_survive_a_restart) {
    stepped_cluster cluster(3);
    cluster.lead();
    const ulong last = cluster.server(2).get_last_log_idx();
    EXPECT_TRUE(grants(cluster, 3, 2, 10, 1, last));
    cluster.stop(2);
    cluster.start(2, stepped_params());
    EXPECT_EQ(10u, cluster.server(2).get_term());
    EXPECT_FALSE(grants(cluster, 1, 2, 10, 1, last)) << "one vote a term";
    EXPECT_TRUE(grants(cluster, 3, 2, 10, 1, last)) << "the same vote again";
}

TEST(guarantee, g12_program_determines_new_terms) {
    stepped_cluster cluster(3);
    cluster.start();
    cluster.server(1).set_inc_term_func([](ulong term) { return term + 10; });
    ASSERT_TRUE(cluster.elect(1));
    EXPECT_EQ(0u, cluster.server(1).get_term() % 10);
    EXPECT_GE(cluster.server(1).get_term(), 10u);
    EXPECT_EQ(cluster.server(1).get_term(), cluster.server(2).get_term());
}

TEST(guarantee, g13_index_at_becoming_leader) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.append(1, "a");
    ASSERT_TRUE(cluster.settle(1));
    const ulong before = cluster.server(2).get_last_log_idx();
    cluster.network->isolate(1, true);
    ASSERT_TRUE(cluster.elect(2));
    EXPECT_EQ(before + 1, cluster.server(2).get_log_idx_at_becoming_leader());
    EXPECT_EQ(0u, cluster.server(3).get_log_idx_at_becoming_leader());
    cluster.network->isolate(1, false);
    EXPECT_TRUE(cluster.beat_until(2, "the old leader to follow", [&] {
        return cluster.server(1).get_log_idx_at_becoming_leader() == 0;
    }));
}

}  // namespace test
}  // namespace nuraft
