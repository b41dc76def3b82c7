#include <atomic>
#include <vector>

#include "doubles/asio_cluster.hxx"
#include "doubles/stepped_cluster.hxx"
#include "doubles/sync_network.hxx"
#include "doubles/waiting.hxx"

// Optional modes as the program sees them: its choice of terms, waiting for state machines, full
// consensus, and clusters of two (behaviour 2.3, 8.3, 19, 20).

namespace nuraft {
namespace test {

namespace {

/// Timers that no kind of task is reserved for.
constexpr int32 other_timers = 0;

struct modes : testing::Test {
    explicit modes(int32 servers = 3) : cluster(servers) {}

    void start(const raft_params& p) {
        cluster.start(p, [this](int32 id, cb_func::Type type, cb_func::Param*) {
            if (type == cb_func::BecomeLeader) lines.add("BecomeLeader " + std::to_string(id));
            if (type == cb_func::LeaderSmCatchingUp) lines.add("Lagging " + std::to_string(id));
            if (type != cb_func::AutoAdjustQuorum) return cb_func::Ok;
            ++asked;
            return consent ? cb_func::Ok : cb_func::ReturnNull;
        });
    }
    void lead(const raft_params& p) {
        start(p);
        cluster.elect(1);
        ASSERT_TRUE(server(1).is_leader());
        beat();
    }
    raft_server& server(int32 id) { return *cluster.node(id).server; }
    /// One heartbeat of server 1 to everybody.
    void beat() { cluster.node(1).timers->fire(timer_task_type::heartbeat_timer); }
    ptr<cmd_result<ptr<buffer>>> append(const std::string& text) {
        return server(1).append_entries({text_buffer(text)});
    }
    /// Lets server 1 ask how far the others are until the result is there; heartbeats are not
    /// needed.
    testing::AssertionResult finished(cmd_result<ptr<buffer>>& result) {
        return eventually("a result", [&] {
            cluster.node(1).timers->fire(other_timers);
            return result.has_result();
        });
    }
    /// Has a first entry applied, and the leader know so of everybody: who has reported nothing yet
    /// is not waited for.
    testing::AssertionResult all_report() {
        append("a");
        const ulong index = server(1).get_last_log_idx();
        return eventually("all to report that they applied the first entry", [&] {
            beat();
            return server(1).get_peer_info(2).last_sm_committed_idx_ == index &&
                   server(1).get_peer_info(3).last_sm_committed_idx_ == index;
        });
    }
    testing::AssertionResult applied_by(int32 id, const std::string& text) {
        return eventually("server " + std::to_string(id) + " to apply " + text,
                          [&] { return cluster.node(id).sm->has(text); });
    }

    trace lines;
    std::atomic<int> asked{0};
    std::atomic<bool> consent{false};
    sync_cluster cluster;
};

struct modes_of_two : modes {
    modes_of_two() : modes(2) {}
};

raft_params tracking_params() {
    raft_params p = stepped_params();
    p.track_peers_sm_commit_idx_ = true;
    return p;
}

}  // namespace

TEST_F(modes, terms_are_the_programs) {
    start(manual_params());
    std::vector<ulong> asked_about;
    server(1).set_inc_term_func([&](ulong term) {
        asked_about.push_back(term);
        EXPECT_FALSE(server(1).is_leader()) << "the function may ask the server";
        return term + 10;
    });
    cluster.elect(1);
    EXPECT_TRUE(server(1).is_leader());
    EXPECT_EQ(10u, server(1).get_term());
    EXPECT_EQ(10u, server(2).get_term());
    EXPECT_EQ(std::vector<ulong>{0}, asked_about);
}

TEST_F(modes, terms_that_do_not_grow_elect_nobody) {
    start(manual_params());
    server(1).set_inc_term_func([](ulong term) { return term; });
    cluster.elect(1);
    EXPECT_FALSE(server(1).is_leader());
    server(1).set_inc_term_func([](ulong) -> ulong { throw std::runtime_error("no term"); });
    cluster.elect(1);
    EXPECT_FALSE(server(1).is_leader());
    EXPECT_EQ(0u, server(1).get_term());
    server(1).set_inc_term_func(nullptr);
    cluster.elect(1);
    EXPECT_TRUE(server(1).is_leader());
    EXPECT_EQ(1u, server(1).get_term());
}

// § 40.14.
TEST_F(modes, leadership_waits_for_the_state_machine) {
    raft_params p = stepped_params();
    p.wait_for_sm_catchup_on_becoming_leader_ = true;
    lead(p);
    server(2).pause_state_machine_execution(1000);
    append("a");
    append("b");
    beat();
    ASSERT_TRUE(applied_by(3, "b"));
    lines.clear();
    server(1).yield_leadership(true);
    cluster.elect(2);
    ASSERT_EQ(2, server(2).get_leader());
    EXPECT_FALSE(server(2).is_leader());
    EXPECT_FALSE(server(2).is_leader_sm_fully_caught_up());
    EXPECT_GT(server(2).get_log_idx_at_becoming_leader(), 0u);
    EXPECT_EQ(std::vector<std::string>{"Lagging 2"}, lines.lines());
    auto early = server(2).append_entries({text_buffer("c")});
    EXPECT_TRUE(early->get_accepted());
    EXPECT_FALSE(early->has_result());

    server(2).resume_state_machine_execution();
    EXPECT_TRUE(
        eventually("server 2 to show itself as leader", [&] { return server(2).is_leader(); }));
    EXPECT_TRUE(server(2).is_leader_sm_fully_caught_up());
    EXPECT_TRUE(eventually("the event", [&] { return lines.count("BecomeLeader 2") == 1; }));
    EXPECT_EQ(0u, text_of(*early->get()).find("c@")) << "whoever waited hears of it (B12)";
}

// § 19.6.
TEST_F(modes, results_wait_until_others_applied_the_entry) {
    lead(tracking_params());
    ASSERT_TRUE(all_report());
    server(2).pause_state_machine_execution(1000);
    auto held = append("b");
    const ulong index = server(1).get_last_log_idx();
    ASSERT_TRUE(applied_by(1, "b"));
    ASSERT_TRUE(applied_by(3, "b"));
    beat();
    ASSERT_TRUE(eventually("the leader to know of server 3", [&] {
        beat();
        return server(1).get_peer_info(3).last_sm_committed_idx_ == index;
    }));
    EXPECT_FALSE(held->has_result());
    EXPECT_EQ(index - 1, server(1).get_peer_info(2).last_sm_committed_idx_);

    server(2).resume_state_machine_execution();
    EXPECT_TRUE(finished(*held));
    EXPECT_EQ(cmd_result_code::OK, held->get_result_code());
}

TEST_F(modes, held_back_results_are_cancelled_with_the_leadership) {
    lead(tracking_params());
    ASSERT_TRUE(all_report());
    server(2).pause_state_machine_execution(1000);
    auto held = append("b");
    ASSERT_TRUE(applied_by(1, "b"));
    server(1).yield_leadership(true);
    EXPECT_TRUE(eventually("an end", [&] { return held->has_result(); }));
    EXPECT_EQ(cmd_result_code::CANCELLED, held->get_result_code());
}

TEST_F(modes, results_are_free_once_nothing_is_tracked) {
    lead(tracking_params());
    ASSERT_TRUE(all_report());
    server(2).pause_state_machine_execution(1000);
    auto held = append("b");
    ASSERT_TRUE(applied_by(1, "b"));
    EXPECT_FALSE(held->has_result());
    server(1).update_params(stepped_params());
    EXPECT_TRUE(eventually("the result", [&] { return held->has_result(); }));
    EXPECT_EQ(cmd_result_code::OK, held->get_result_code());
}

// § 19.5, 40.61.
TEST_F(modes, full_consensus_waits_for_all_but_those_marked_down) {
    raft_params p = stepped_params();
    p.use_full_consensus_among_healthy_members_ = true;
    p.with_hb_interval(100000);  // Nobody becomes silent during the test.
    start(p);
    EXPECT_FALSE(server(2).is_part_of_full_consensus());
    cluster.elect(1);
    beat();  // The first append after a long silence is dropped.
    EXPECT_TRUE(server(1).is_part_of_full_consensus());
    EXPECT_TRUE(server(2).is_part_of_full_consensus());
    EXPECT_FALSE(server(2).is_excluded_by_leader());
    ASSERT_EQ(0u, text_of(*append("a")->get()).find("a@"));

    cluster.network->cut("S2", true);
    auto held = append("b");
    beat();
    EXPECT_FALSE(held->has_result()) << "2 is healthy";
    cluster.network->cut("S2", false);
    EXPECT_TRUE(eventually("server 2 to be reached", [&] {
        beat();
        return held->has_result();
    }));

    EXPECT_FALSE(server(2).set_self_mark_down(true));
    EXPECT_TRUE(server(2).set_self_mark_down(true));
    EXPECT_FALSE(server(2).is_part_of_full_consensus());
    EXPECT_FALSE(server(1).set_self_mark_down(true)) << "refused on a leader";
    EXPECT_FALSE(server(1).set_self_mark_down(false));
    beat();
    cluster.network->cut("S2", true);
    EXPECT_EQ(0u, text_of(*append("c")->get()).find("c@"));
}

// § 20, 40.63, B25.
TEST_F(modes_of_two, survivor_goes_on_alone_if_the_program_agrees) {
    raft_params p = stepped_params();
    p.auto_adjust_quorum_for_small_cluster_ = true;
    p.with_hb_interval(10);
    lead(p);
    ASSERT_EQ(0u, text_of(*append("a")->get()).find("a@"));
    cluster.network->cut("S2", true);
    auto alone = append("b");
    ASSERT_TRUE(eventually("the program to be asked", [&] {
        beat();
        return asked > 0;
    }));
    EXPECT_FALSE(alone->has_result()) << "it refused";
    consent = true;
    ASSERT_TRUE(eventually("the survivor to commit", [&] {
        beat();
        return alone->has_result();
    }));
    EXPECT_EQ(cmd_result_code::OK, alone->get_result_code());
    EXPECT_EQ(1, server(1).get_current_params().custom_commit_quorum_size_);
    EXPECT_EQ(1, server(1).get_current_params().custom_election_quorum_size_);
    server(1).update_params(server(1).get_current_params());

    cluster.network->cut("S2", false);
    EXPECT_TRUE(eventually("a quorum of two again", [&] {
        beat();
        return server(1).get_current_params().custom_commit_quorum_size_ == 0;
    }));
    EXPECT_EQ(0, server(1).get_current_params().custom_election_quorum_size_);
    EXPECT_TRUE(applied_by(2, "b"));
}

// § 40.60, 40.61, over real connections, streaming too: a member that goes away holds commits up
// for a while only, and is part again once it is back.
TEST(modes_over_tcp, full_consensus_survives_a_restart) {
    for (bool streaming : {false, true}) {
        raft_params p = quick_params();
        p.use_full_consensus_among_healthy_members_ = true;
        p.track_peers_sm_commit_idx_ = true;
        p.wait_for_sm_catchup_on_becoming_leader_ = true;
        // Members judge each other by heartbeats, which a busy machine delays.
        p.with_hb_interval(200).with_election_timeout_lower(1200).with_election_timeout_upper(2400);
        p.with_client_req_timeout(0);
        if (streaming) p.max_log_gap_in_stream_ = 100;
        asio_cluster cluster(3, p, streaming);
        asio_node* leader = cluster.wait_for_leader();
        ASSERT_TRUE(leader);
        for (int i = 0; i < 10; ++i) {
            const std::string text = "healthy " + std::to_string(i);
            ASSERT_EQ(cmd_result_code::OK, append(*leader->server, text)->get_result_code());
        }
        asio_node& other = cluster.any_follower();
        other.stop();
        ASSERT_EQ(cmd_result_code::OK, append(*leader->server, "without it")->get_result_code());
        other.start(p);
        EXPECT_TRUE(eventually("the restarted server to be part again",
                               [&] { return other.server->is_part_of_full_consensus(); }));
        EXPECT_TRUE(cluster.all_have("without it"));
    }
}

}  // namespace test
}  // namespace nuraft
