#include <atomic>
#include <chrono>
#include <thread>

#include "base/request_unsent.hxx"
#include "doubles/sync_network.hxx"
#include "doubles/waiting.hxx"
#include "server/apply_gate.hxx"
#include "server/client_batch.hxx"
#include "server/commit_watchers.hxx"
#include "server/connections.hxx"
#include "server/forwarder.hxx"
#include "server/log.hxx"
#include "server/log_reader.hxx"
#include "server/timers.hxx"

// The parts of the server that stand on their own.

namespace nuraft {
namespace test {

namespace {

/// Keeps what it is asked to send; the test answers.
class held_client : public rpc_client {
public:
    struct request {
        ptr<req_msg> req;
        rpc_handler done;
    };
    explicit held_client(std::vector<request>& sent) : sent_(sent) {}
    void send(ptr<req_msg>& req, rpc_handler& when_done, uint64_t) override {
        sent_.push_back({req, when_done});
    }
    uint64_t get_id() const override { return 1; }
    bool is_abandoned() const override { return abandoned; }
    bool abandoned = false;

private:
    std::vector<request>& sent_;
};

class held_factory : public rpc_client_factory {
public:
    ptr<rpc_client> create_client(const std::string& endpoint) override {
        endpoints.push_back(endpoint);
        if (unreachable) return nullptr;
        last = cs_new<held_client>(sent);
        return last;
    }
    std::vector<std::string> endpoints;
    std::vector<held_client::request> sent;
    ptr<held_client> last;
    bool unreachable = false;
};

struct forwarding : testing::Test {
    ptr<forwarder::order> send(int32_t leader = 1) {
        auto req = cs_new<req_msg>(0, msg_type::client_request, 2, leader, 0, 0, 0);
        return f->send(req, {leader, "L" + std::to_string(leader), 2, 0, patience});
    }
    void answer(size_t i, const std::string& value) {
        auto resp = cs_new<resp_msg>(1, msg_type::append_entries_response, 1, 2, 5, true);
        resp->set_ctx(text_buffer(value));
        ptr<rpc_exception> none;
        auto done = factory->sent.at(i).done;
        done(resp, none);
    }
    void fail(size_t i) {
        ptr<resp_msg> none;
        auto error = cs_new<rpc_exception>("broken", factory->sent.at(i).req);
        auto done = factory->sent.at(i).done;
        done(none, error);
    }

    std::chrono::milliseconds patience = std::chrono::hours(1);
    ptr<held_factory> factory = cs_new<held_factory>();
    ptr<forwarder> f = cs_new<forwarder>(factory);
};

}  // namespace

TEST_F(forwarding, uses_no_more_connections_than_allowed_and_serves_the_queue) {
    auto a = send(), b = send(), c = send(), d = send();
    EXPECT_EQ(2u, factory->sent.size());
    EXPECT_EQ(2u, factory->endpoints.size());
    answer(0, "a");
    EXPECT_EQ("a", text_of(*a->result->get()));
    EXPECT_TRUE(a->result->get_accepted());
    ASSERT_EQ(3u, factory->sent.size()) << "the oldest queued one got the connection";
    answer(2, "c");
    answer(1, "b");
    answer(3, "d");
    EXPECT_EQ("d", text_of(*d->result->get()));
    EXPECT_EQ(2u, factory->endpoints.size());
    auto e = send();
    EXPECT_EQ(2u, factory->endpoints.size()) << "idle connections are used again";
    EXPECT_EQ(5u, factory->sent.size());
}

TEST_F(forwarding, failure_carries_its_error_and_the_next_one_dials_anew) {
    auto a = send(), b = send(), c = send();
    fail(0);
    EXPECT_EQ(cmd_result_code::FAILED, a->result->get_result_code());
    EXPECT_FALSE(a->result->get_accepted());
    std::string error;
    a->result->when_ready([&](ptr<buffer>&, ptr<std::exception>& e) { error = e->what(); });
    EXPECT_EQ("broken", error);
    EXPECT_EQ(3u, factory->endpoints.size());
    answer(2, "c");
    EXPECT_EQ("c", text_of(*c->result->get()));
}

TEST_F(forwarding, unreachable_leader_fails_all) {
    factory->unreachable = true;
    auto a = send();
    EXPECT_EQ(cmd_result_code::FAILED, a->result->get_result_code());
}

TEST_F(forwarding, abandoned_connection_is_replaced) {
    auto a = send();
    factory->last->abandoned = true;
    answer(0, "a");
    auto b = send();
    EXPECT_EQ(2u, factory->endpoints.size());
}

TEST_F(forwarding, queued_requests_time_out_and_sent_ones_do_not) {
    auto a = send(), b = send(), c = send();
    f->wait(c, 1);
    EXPECT_EQ(cmd_result_code::TIMEOUT, c->result->get_result_code());
    std::thread waiter([&] { f->wait(a, 1); });
    answer(0, "a");
    waiter.join();
    EXPECT_EQ(cmd_result_code::OK, a->result->get_result_code());
    EXPECT_EQ(2u, factory->sent.size());
}

TEST_F(forwarding, queue_for_an_old_leader_is_refused) {
    auto a = send(), b = send(), c = send();
    f->leader_is(1);
    EXPECT_FALSE(c->result->has_result());
    f->leader_is(3);
    EXPECT_EQ(cmd_result_code::NOT_LEADER, c->result->get_result_code());
    EXPECT_FALSE(a->result->has_result());
}

// A leader that is halted or cut off answers late or never.
TEST_F(forwarding, what_was_sent_to_an_old_leader_is_given_up_when_patience_ends) {
    auto patient = send();
    patience = std::chrono::milliseconds(0);
    auto a = send();
    f->leader_is(1);
    EXPECT_FALSE(a->result->has_result());
    EXPECT_FALSE(f->others_owe_answers());
    f->leader_is(3);
    EXPECT_EQ(cmd_result_code::FAILED, a->result->get_result_code()) << "it may still commit";
    EXPECT_FALSE(a->result->get_accepted());
    EXPECT_EQ(nullptr, a->client) << "its connection is of no more use";
    EXPECT_FALSE(patient->result->has_result());
    EXPECT_TRUE(f->others_owe_answers()) << "to be looked at again";
    answer(0, "late but right");
    EXPECT_EQ("late but right", text_of(*patient->result->get()));
    f->leader_is(3);
    EXPECT_FALSE(f->others_owe_answers());
    answer(1, "too late");
    EXPECT_EQ(cmd_result_code::FAILED, a->result->get_result_code());
}

// Or a leader that comes back would find no connection free.
TEST_F(forwarding, what_is_given_up_frees_its_connection) {
    patience = std::chrono::milliseconds(0);
    auto a = send(), b = send(), queued = send();
    f->leader_is(3);
    EXPECT_EQ(cmd_result_code::FAILED, a->result->get_result_code());
    EXPECT_EQ(cmd_result_code::NOT_LEADER, queued->result->get_result_code());
    a = nullptr;  // Nobody but the connections, which are being closed, knows of them.
    b = nullptr;
    fail(0);
    fail(1);
    auto c = send(), d = send();
    EXPECT_EQ(4u, factory->sent.size());
}

// What never left is in no log: it may be asked for again, key or no key.
TEST_F(forwarding, what_was_never_sent_is_not_unknown) {
    auto a = send();
    ptr<resp_msg> none;
    ptr<rpc_exception> error = cs_new<request_unsent>("refused", factory->sent.at(0).req);
    auto done = factory->sent.at(0).done;
    done(none, error);
    EXPECT_EQ(cmd_result_code::NOT_LEADER, a->result->get_result_code());
    EXPECT_FALSE(a->result->get_accepted());
}

TEST_F(forwarding, close_cancels_everything_once) {
    auto a = send(), b = send(), c = send();
    int calls = 0;
    a->result->when_ready([&](ptr<buffer>&, ptr<std::exception>&) { ++calls; });
    f->close();
    for (auto& o : {a, b, c}) EXPECT_EQ(cmd_result_code::CANCELLED, o->result->get_result_code());
    answer(0, "late");
    EXPECT_EQ(1, calls);
    EXPECT_EQ(cmd_result_code::CANCELLED, a->result->get_result_code());
    EXPECT_EQ(cmd_result_code::CANCELLED, send()->result->get_result_code());
}

TEST(gate, gives_out_committed_entries_in_order) {
    apply_gate gate(5);
    EXPECT_FALSE(gate.begin());
    gate.raise_target(7);
    EXPECT_EQ(6u, gate.begin().value());
    gate.set_applied(6);
    gate.end();
    EXPECT_EQ(7u, gate.begin().value());
    gate.set_applied(7);
    gate.end();
    EXPECT_FALSE(gate.begin());
}

TEST(gate, hold_waits_for_the_entry_in_progress_and_jumps) {
    apply_gate gate(0);
    gate.raise_target(3);
    ASSERT_TRUE(gate.begin());
    std::atomic<bool> held{false};
    std::thread holder([&] {
        EXPECT_TRUE(gate.hold());
        held = true;
        gate.jump(10);
        gate.release();
    });
    EXPECT_FALSE(held);
    gate.set_applied(1);
    gate.end();
    holder.join();
    EXPECT_EQ(10u, gate.applied());
    EXPECT_FALSE(gate.begin());
    gate.raise_target(11);
    EXPECT_EQ(11u, gate.begin().value());
}

TEST(gate, pause_outlives_a_hold) {
    apply_gate gate(0);
    gate.raise_target(1);
    gate.pause();
    EXPECT_TRUE(gate.paused());
    ASSERT_TRUE(gate.hold());
    gate.release();
    EXPECT_FALSE(gate.begin());
    gate.resume();
    EXPECT_TRUE(gate.begin());
    EXPECT_FALSE(gate.wait_idle(1, true));
    gate.end();
    EXPECT_TRUE(gate.wait_idle(0, true));
}

TEST(gate, stop_wakes_everybody) {
    apply_gate gate(0);
    gate.raise_target(1);
    ASSERT_TRUE(gate.begin());
    std::thread holder([&] { EXPECT_FALSE(gate.hold()); });
    gate.stop();
    holder.join();
    gate.wait();
    EXPECT_FALSE(gate.begin());
}

TEST(watchers, complete_up_to_the_applied_index) {
    commit_watchers w;
    auto zero = [] { return uint64_t{0}; };
    auto a = w.add(3, zero), b = w.add(5, zero), c = w.add(6, zero);
    w.complete(5);
    EXPECT_TRUE(a->get());
    EXPECT_TRUE(b->get());
    EXPECT_FALSE(c->has_result());
    w.cancel();
    EXPECT_EQ(cmd_result_code::CANCELLED, c->get_result_code());
    EXPECT_EQ(cmd_result_code::CANCELLED, w.add(9, zero)->get_result_code());
    EXPECT_TRUE(w.add(9, [] { return uint64_t{9}; })->get());
}

TEST(batches, are_lost_only_above_the_commit_and_up_to_the_term) {
    client_batches all;
    auto make = [&](uint64_t number, uint64_t index, uint64_t term) {
        auto b = cs_new<client_batch>(raft_server::req_ext_params(), false);
        b->last_index = index;
        b->term = term;
        all.add(number, b);
        return b;
    };
    auto committed = make(1, 4, 2), lost = make(2, 5, 2), later = make(3, 6, 3);
    const auto taken = all.take_lost(4, 2);
    ASSERT_EQ(1u, taken.size());
    EXPECT_EQ(lost, taken.front());
    EXPECT_EQ(committed, all.take_applied(4).front());
    EXPECT_EQ(later, all.take_applied(6).front());
    EXPECT_EQ(lost, all.take_unwritten(2));
    EXPECT_FALSE(all.take_unwritten(2));
}

TEST(batches, first_completion_wins) {
    client_batch b(raft_server::req_ext_params(), false);
    b.finish(text_buffer("value"), cmd_result_code::OK);
    b.finish(nullptr, cmd_result_code::CANCELLED);
    EXPECT_EQ(cmd_result_code::OK, b.result->get_result_code());
    EXPECT_EQ("value", text_of(*b.result->get()));
    EXPECT_TRUE(b.wait_finished(1));
    b.wait_written();
}

TEST(timer_table, replaced_and_cancelled_runs_are_ignored) {
    using protocol::timer_kind;
    /// Runs also what was cancelled, as a late scheduler may.
    class careless : public delayed_task_scheduler {
    public:
        void schedule(ptr<delayed_task>& task, int32) override {
            task->reset();
            tasks.push_back(task);
        }
        std::vector<ptr<delayed_task>> tasks;

    private:
        void cancel_impl(ptr<delayed_task>&) override {}
    };
    auto scheduler = cs_new<careless>();
    std::vector<int32_t> fired;
    timers t(scheduler);
    t.on_fire([&](timer_kind, int32_t peer) { fired.push_back(peer); });
    t.change({timer_kind::heartbeat, 1, 10});
    t.change({timer_kind::heartbeat, 1, 10});
    t.change({timer_kind::heartbeat, 2, 10});
    t.change({timer_kind::election, -1, 10});
    t.change({timer_kind::election, -1, -1});
    ASSERT_EQ(4u, scheduler->tasks.size());
    EXPECT_EQ(timer_task_type::heartbeat_timer, scheduler->tasks[0]->get_type());
    EXPECT_EQ(timer_task_type::election_timer, scheduler->tasks[3]->get_type());
    for (auto& task : scheduler->tasks) {
        task->reset();
        task->execute();
        task->execute();
    }
    EXPECT_EQ((std::vector<int32_t>{1, 2}), fired);
    t.change({timer_kind::heartbeat, 1, 10});
    t.stop();
    scheduler->tasks.back()->reset();
    scheduler->tasks.back()->execute();
    t.change({timer_kind::heartbeat, 1, 10});
    EXPECT_EQ(5u, scheduler->tasks.size());
    EXPECT_EQ(2u, fired.size());
}

TEST(connection_table, asks_the_factory_at_once_and_after_a_replacement) {
    using protocol::connection_change;
    auto factory = cs_new<held_factory>();
    connections c(factory);
    EXPECT_FALSE(c.client(1));
    c.change({connection_change::open, 1, "A"});
    EXPECT_EQ(1u, factory->endpoints.size());
    EXPECT_TRUE(c.client(1));
    EXPECT_TRUE(c.client(1));
    EXPECT_EQ(1u, factory->endpoints.size());
    c.change({connection_change::replace, 1, "A"});
    EXPECT_EQ(2u, factory->endpoints.size());
    EXPECT_TRUE(c.client(1));
    EXPECT_EQ(2u, factory->endpoints.size());
    factory->unreachable = true;
    c.change({connection_change::replace, 1, "A"});
    EXPECT_FALSE(c.client(1));
    factory->unreachable = false;
    EXPECT_TRUE(c.client(1));
    c.change({connection_change::open, 2, "B"});
    EXPECT_TRUE(c.client(2));
    EXPECT_EQ("B", factory->endpoints.back());
    c.change({connection_change::close, 2, ""});
    EXPECT_FALSE(c.client(2));
    c.close();
    EXPECT_FALSE(c.client(1));
}

TEST(log_view_of_a_store, keeps_what_it_throws) {
    class throwing : public memory_log_store {
    public:
        ulong term_at(ulong) override { throw std::runtime_error("disk gone"); }
    };
    log_reader reader(cs_new<throwing>());
    EXPECT_EQ(0u, reader.term_at(1));
    EXPECT_EQ("disk gone", reader.take_error());
    EXPECT_EQ("", reader.take_error());
    EXPECT_EQ(1u, reader.next_index());
    EXPECT_FALSE(reader.entries(1, 2, 0));
}

TEST(log_text, has_any_length) {
    const std::string word(5000, 'x');
    EXPECT_EQ("1 " + word, format_text("%d %s", 1, word.c_str()));
    EXPECT_EQ("", format_text("%s", ""));
}

}  // namespace test
}  // namespace nuraft
