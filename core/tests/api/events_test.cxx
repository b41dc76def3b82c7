#include <atomic>
#include <functional>
#include <mutex>

#include "doubles/sync_network.hxx"
#include "doubles/waiting.hxx"

// What the program is told, in which order, and what its answers do (behaviour 35). On a network
// that delivers inline, so that orders are exact.

namespace nuraft {
namespace test {

namespace {

const char* name_of(cb_func::Type type) {
    switch (type) {
        case cb_func::ProcessReq:
            return "ProcessReq";
        case cb_func::GotAppendEntryRespFromPeer:
            return "GotAppendEntryRespFromPeer";
        case cb_func::AppendLogs:
            return "AppendLogs";
        case cb_func::HeartBeat:
            return "HeartBeat";
        case cb_func::BecomeLeader:
            return "BecomeLeader";
        case cb_func::RequestAppendEntries:
            return "RequestAppendEntries";
        case cb_func::NewConfig:
            return "NewConfig";
        case cb_func::BecomeFollower:
            return "BecomeFollower";
        case cb_func::GotAppendEntryReqFromLeader:
            return "GotAppendEntryReqFromLeader";
        case cb_func::StateMachineExecution:
            return "StateMachineExecution";
        case cb_func::SentAppendEntriesReq:
            return "SentAppendEntriesReq";
        case cb_func::ReceivedAppendEntriesReq:
            return "ReceivedAppendEntriesReq";
        case cb_func::SentAppendEntriesResp:
            return "SentAppendEntriesResp";
        case cb_func::ReceivedAppendEntriesResp:
            return "ReceivedAppendEntriesResp";
        case cb_func::ResignationFromLeader:
            return "ResignationFromLeader";
        default:
            return "other";
    }
}

struct events : testing::Test {
    using decision = std::function<cb_func::ReturnCode(int32, cb_func::Type, cb_func::Param*)>;

    /// Two servers, the first leading, idle, and traced from then on.
    void lead(raft_params p = manual_params()) {
        start(p);
        cluster.elect(1);
        ASSERT_TRUE(first().server->is_leader());
        settle();
        first().sm->record_in(&lines[1]);
        first().mgr->log->record_in(&lines[1]);
        second().sm->record_in(&lines[2]);
        second().mgr->log->record_in(&lines[2]);
        lines[1].clear();
        lines[2].clear();
    }
    void start(const raft_params& p) {
        cluster.start(p, [this](int32 id, cb_func::Type type, cb_func::Param* param) {
            lines[id].add(name_of(type));
            EXPECT_EQ(id, param->myId);
            decision d;
            {
                std::lock_guard<std::mutex> guard(decision_lock);
                d = current;
            }
            return d ? d(id, type, param) : cb_func::Ok;
        });
    }
    /// What the program answers from now on.
    void decide(decision d) {
        std::lock_guard<std::mutex> guard(decision_lock);
        current = d;
    }
    void settle() {
        for (int32 id : {1, 2}) {
            raft_server& s = *cluster.node(id).server;
            ASSERT_TRUE(eventually("everything committed applied and told", [&] {
                return s.get_committed_log_idx() == first().server->get_last_log_idx();
            }));
            ASSERT_TRUE(s.wait_for_state_machine_commit(s.get_committed_log_idx())->get());
            s.wait_for_state_machine_pause(0);
        }
    }
    /// `wanted` appears in this order, other lines between.
    void expect_order(int32 id, const std::vector<std::string>& wanted) {
        const std::vector<std::string> all = lines[id].lines();
        size_t at = 0;
        for (const std::string& line : all) {
            if (at < wanted.size() && line == wanted[at]) ++at;
        }
        if (at == wanted.size()) return;
        std::string text;
        for (const std::string& line : all) text += "  " + line + "\n";
        ADD_FAILURE() << "server " << id << ": missing in order: " << wanted[at] << "\n" << text;
    }
    ptr<cmd_result<ptr<buffer>>> append(const std::string& text) {
        return first().server->append_entries({text_buffer(text)});
    }
    manual_node& first() { return cluster.node(1); }
    manual_node& second() { return cluster.node(2); }

    trace lines[3];
    std::mutex decision_lock;
    decision current;  ///< Guarded by `decision_lock`.
    sync_cluster cluster{2};
};

}  // namespace

TEST_F(events, of_a_client_append) {
    lead();
    raft_server::req_ext_params ext;
    ext.after_precommit_ = [this](const raft_server::req_ext_cb_params&) {
        lines[1].add("after_precommit");
    };
    auto result = first().server->append_entries_ext({text_buffer("a"), text_buffer("b")}, ext);
    EXPECT_EQ(cmd_result_code::OK, result->get_result_code());
    settle();
    expect_order(
        1, {"ProcessReq", "append 2", "pre_commit a", "after_precommit", "append 3", "pre_commit b",
            "after_precommit", "end_of_append_batch 2 2", "AppendLogs", "RequestAppendEntries",
            "ReceivedAppendEntriesResp", "GotAppendEntryRespFromPeer", "RequestAppendEntries"});
    expect_order(1, {"AppendLogs", "commit a", "StateMachineExecution", "commit b",
                     "StateMachineExecution"});
    expect_order(2, {"ProcessReq", "ReceivedAppendEntriesReq", "GotAppendEntryReqFromLeader",
                     "append 2", "pre_commit a", "append 3", "pre_commit b",
                     "end_of_append_batch 2 2", "SentAppendEntriesResp", "commit a", "commit b"});
    EXPECT_EQ(1u, lines[1].count("AppendLogs"));
}

TEST_F(events, of_applying) {
    raft_params p = manual_params();
    p.return_method_ = raft_params::async_handler;
    lead(p);
    first().sm->close_gate();
    auto result = append("a");
    const ulong index = first().server->get_last_log_idx();
    result->when_ready([&](ptr<buffer>&, ptr<std::exception>&) {
        lines[1].add(first().server->get_committed_log_idx() < index ? "result before visible"
                                                                     : "result too late");
    });
    auto watched = first().server->wait_for_state_machine_commit(index);
    watched->when_ready([&](bool&, ptr<std::exception>&) { lines[1].add("watcher"); });
    first().sm->open_gate();
    settle();
    expect_order(1, {"commit a", "result before visible", "StateMachineExecution", "watcher"});
}

TEST_F(events, of_an_election_and_its_configuration) {
    start(manual_params());
    first().sm->record_in(&lines[1]);
    cluster.elect(1);
    settle();
    expect_order(1, {"BecomeLeader", "RequestAppendEntries", "NewConfig", "commit_config 1",
                     "StateMachineExecution"});
    EXPECT_EQ(1u, lines[1].count("BecomeLeader"));
}

TEST_F(events, of_a_heartbeat) {
    lead();
    first().timers->fire(timer_task_type::heartbeat_timer);
    expect_order(1, {"HeartBeat", "RequestAppendEntries", "SentAppendEntriesReq"});
    EXPECT_EQ(1, first().timers->pending(timer_task_type::heartbeat_timer));
}

TEST_F(events, of_a_hand_over) {
    lead();
    first().server->yield_leadership(false, 2);
    EXPECT_TRUE(second().server->is_leader());
    EXPECT_FALSE(first().server->is_leader());
    expect_order(1, {"ResignationFromLeader", "BecomeFollower"});
}

TEST_F(events, refusal_to_resign_keeps_the_leader) {
    lead();
    decide([](int32, cb_func::Type type, cb_func::Param*) {
        return type == cb_func::ResignationFromLeader ? cb_func::ReturnNull : cb_func::Ok;
    });
    first().server->yield_leadership(true);
    EXPECT_TRUE(first().server->is_leader());
    EXPECT_TRUE(second().server->request_leadership());
    EXPECT_TRUE(first().server->is_leader());
    EXPECT_EQ(2u, lines[1].count("ResignationFromLeader"));
}

TEST_F(events, refused_requests) {
    lead();
    decide([](int32 id, cb_func::Type type, cb_func::Param*) {
        return id == 1 && type == cb_func::ProcessReq ? cb_func::ReturnNull : cb_func::Ok;
    });
    auto dropped = append("a");
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, dropped->get_result_code());
    EXPECT_FALSE(dropped->get_accepted());
    EXPECT_EQ(1u, first().server->get_last_log_idx());

    decide([](int32, cb_func::Type type, cb_func::Param*) {
        return type == cb_func::AppendLogs ? cb_func::ReturnNull : cb_func::Ok;
    });
    auto unanswered = append("b");
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, unanswered->get_result_code());
    EXPECT_FALSE(unanswered->get_accepted());
    EXPECT_TRUE(
        eventually("the entry applied all the same", [&] { return second().sm->has("b"); }));
}

TEST_F(events, declined_append_writes_nothing_and_comes_again) {
    raft_params p = manual_params();
    p.return_method_ = raft_params::async_handler;
    lead(p);
    decide([](int32, cb_func::Type type, cb_func::Param*) {
        return type == cb_func::GotAppendEntryReqFromLeader ? cb_func::ReturnNull : cb_func::Ok;
    });
    auto result = append("a");
    EXPECT_EQ(2u, second().mgr->log->next_slot());
    EXPECT_FALSE(result->has_result());
    decide(nullptr);
    first().timers->fire(timer_task_type::heartbeat_timer);  // Ends the negative size hint.
    first().timers->fire(timer_task_type::heartbeat_timer);
    EXPECT_EQ("a@2", text_of(*result->get()));
}

TEST_F(events, request_kept_back_by_the_program) {
    raft_params p = manual_params();
    p.return_method_ = raft_params::async_handler;
    lead(p);
    decide([](int32, cb_func::Type type, cb_func::Param*) {
        return type == cb_func::RequestAppendEntries ? cb_func::ReturnNull : cb_func::Ok;
    });
    auto result = append("a");
    EXPECT_EQ(0u, lines[2].count("ReceivedAppendEntriesReq"));
    decide(nullptr);
    first().timers->fire(timer_task_type::heartbeat_timer);
    EXPECT_EQ("a@2", text_of(*result->get()));
}

TEST_F(events, dropped_messages_are_sent_again) {
    raft_params p = manual_params();
    p.return_method_ = raft_params::async_handler;
    lead(p);
    for (cb_func::Type dropped :
         {cb_func::ReceivedAppendEntriesReq, cb_func::SentAppendEntriesResp}) {
        decide([dropped](int32 id, cb_func::Type type, cb_func::Param*) {
            return id == 2 && type == dropped ? cb_func::ReturnNull : cb_func::Ok;
        });
        auto result = append("a");
        EXPECT_FALSE(result->has_result());
        decide(nullptr);
        EXPECT_TRUE(eventually("the entry after a new connection", [&] {
            first().timers->fire(timer_task_type::heartbeat_timer);
            return result->has_result();
        }));
    }
    settle();
    EXPECT_EQ(first().sm->committed(), second().sm->committed());
}

TEST_F(events, callbacks_may_ask_and_append) {
    raft_params p = manual_params();
    p.return_method_ = raft_params::async_handler;
    ptr<cmd_result<ptr<buffer>>> from_callback, from_handler;
    ulong seen_term = 0;
    std::atomic<raft_server*> started{nullptr};
    decide([&](int32 id, cb_func::Type type, cb_func::Param* param) {
        if (id != 1) return cb_func::Ok;
        raft_server* s = started;
        if (!s) return cb_func::Ok;  // Still in its constructor.
        s->get_peer_info_all();
        s->get_config();
        if (type == cb_func::BecomeLeader) {
            seen_term = *static_cast<ulong*>(param->ctx);
            EXPECT_TRUE(s->is_leader());
            from_callback = s->append_entries({text_buffer("from callback")});
            from_callback->when_ready([&, s](ptr<buffer>&, ptr<std::exception>&) {
                from_handler = s->append_entries({text_buffer("from handler")});
            });
        }
        return cb_func::Ok;
    });
    start(p);
    started = first().server.get();
    cluster.elect(1);
    EXPECT_EQ(first().server->get_term(), seen_term);
    ASSERT_TRUE(from_callback);
    EXPECT_TRUE(from_callback->get_accepted());
    EXPECT_EQ("from callback@2", text_of(*from_callback->get()));
    ASSERT_TRUE(eventually("the second entry", [&] { return first().sm->has("from handler"); }));
    EXPECT_EQ("from handler@3", text_of(*from_handler->get()));
    settle();
    decide(nullptr);
}

TEST(membership_events, of_joining_and_leaving) {
    auto network = cs_new<sync_network>();
    trace lines[3];
    auto callback_of = [&](int32 id) {
        return [&, id](cb_func::Type type, cb_func::Param*) {
            switch (type) {
                case cb_func::JoinedCluster:
                    lines[id].add("JoinedCluster");
                    break;
                case cb_func::RemovedFromCluster:
                    lines[id].add("RemovedFromCluster");
                    break;
                case cb_func::NewConfig:
                    lines[id].add("NewConfig");
                    break;
                case cb_func::BecomeFollower:
                    lines[id].add("BecomeFollower");
                    break;
                default:
                    break;
            }
            return cb_func::Ok;
        };
    };
    manual_node first(1, network), second(2, network);
    for (manual_node* n : {&first, &second}) {
        auto alone = cs_new<cluster_config>();
        alone->get_servers().push_back(cs_new<srv_config>(n->id, n->endpoint));
        n->mgr = cs_new<memory_state_mgr>(n->id, alone);
        n->start(manual_params(), callback_of(n->id));
    }
    first.timers->fire(timer_task_type::election_timer);
    ASSERT_TRUE(first.server->is_leader());
    auto beat = [&] {
        first.timers->fire(timer_task_type::heartbeat_timer);
        first.timers->fire(0);
    };

    EXPECT_TRUE(first.server->add_srv(srv_config(2, "S2"))->get_accepted());
    ASSERT_TRUE(eventually("the second server told of its membership", [&] {
        beat();
        return lines[2].count("NewConfig") > 0 && lines[2].count("JoinedCluster") > 0;
    }));
    EXPECT_EQ(0, lines[2].find("BecomeFollower"));
    EXPECT_EQ(1u, lines[2].count("JoinedCluster"));
    EXPECT_EQ(0u, lines[2].count("RemovedFromCluster"));

    EXPECT_TRUE(first.server->remove_srv(2)->get_accepted());
    ASSERT_TRUE(eventually("the second server told of its removal", [&] {
        beat();
        return lines[2].count("RemovedFromCluster") > 0;
    }));
    EXPECT_TRUE(eventually("the first server alone", [&] {
        beat();
        return first.server->get_config()->get_servers().size() == 1;
    }));
    first.stop();
    second.stop();
}

TEST_F(events, throwing_callback_is_no_decision) {
    decide([](int32, cb_func::Type, cb_func::Param*) -> cb_func::ReturnCode {
        throw std::runtime_error("thrown by the test");
    });
    start(manual_params());
    cluster.elect(1);
    EXPECT_EQ(cmd_result_code::OK, append("a")->get_result_code());
}

}  // namespace test
}  // namespace nuraft
