#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

#include "doubles/manual_node.hxx"

// A transport may deliver a request to a server from within that server's own `send`. The server
// then goes on with its queue of effects from there.

namespace nuraft {
namespace test {
namespace {

/// Its clients call the test in place of sending, once.
class calling_network : public test_network {
public:
    ptr<rpc_client> create_client(const std::string&) override {
        return cs_new<calling_client>(on_send);
    }
    std::function<void()> on_send;

private:
    class calling_client : public rpc_client {
    public:
        explicit calling_client(std::function<void()>& call) : call_(call) {}
        void send(ptr<req_msg>&, rpc_handler&, uint64_t) override {
            const std::function<void()> call = std::exchange(call_, nullptr);
            if (call) call();
        }
        uint64_t get_id() const override { return 1; }
        bool is_abandoned() const override { return false; }

    private:
        std::function<void()>& call_;
    };
};

// The job that sent may be done, and gone from the queue, when its `send` throws. What is at the
// front by then is another's, here that of the stop, and must be carried out.
TEST(nested_delivery, exception_drops_no_other_job) {
    auto network = cs_new<calling_network>();
    manual_node node(1, network);
    node.mgr = cs_new<memory_state_mgr>(1, config_of({"S1", "S2"}));
    node.mgr->log->slow_disk(true);
    raft_params params = manual_params();
    params.parallel_log_appending_ = true;
    node.start(params);
    bool called = false;
    network->on_send = [&] {
        called = true;
        // No reply before the entry is durable: so the whole queue is worked off meanwhile.
        auto entry = cs_new<log_entry>(1, text_buffer("x"));
        auto append = cs_new<req_msg>(1, msg_type::append_entries_request, 2, 1, 0, 0, 0);
        append->log_entries().push_back(entry);
        EXPECT_FALSE(network->deliver("S1", *append, raft_server::req_ext_params()));
        EXPECT_EQ(1, node.timers->pending(timer_task_type::election_timer));
        node.server->stop_server();
        throw std::runtime_error("thrown by the test");
    };
    node.timers->fire(timer_task_type::election_timer);
    ASSERT_TRUE(called);
    EXPECT_EQ(0, node.timers->pending(timer_task_type::election_timer)) << "cancelled by the stop";
}

}  // namespace
}  // namespace test
}  // namespace nuraft
