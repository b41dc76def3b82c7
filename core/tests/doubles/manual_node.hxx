#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "doubles/memory.hxx"
#include "doubles/test_network.hxx"
#include "libnuraft/nuraft.hxx"

namespace nuraft {
namespace test {

/// Timers that run out when the test says so, in the test's thread.
class manual_scheduler : public delayed_task_scheduler {
public:
    void schedule(ptr<delayed_task>& task, int32 milliseconds) override;
    /// Runs what is pending of this type now; returns how many.
    int fire(int32 type);
    int pending(int32 type) const;
    /// How often a task of this type was scheduled.
    int scheduled(int32 type) const;

private:
    void cancel_impl(ptr<delayed_task>& task) override;

    mutable std::mutex lock_;
    std::list<ptr<delayed_task>> tasks_;  ///< Guarded by `lock_`, as the next.
    std::map<int32, int> scheduled_;
};

/// Parameters without a will of their own: nothing happens unless a timer is fired.
raft_params manual_params();

/// A server on a network inside the test, driven by hand. State, log and state machine survive
/// `stop`.
class manual_node {
public:
    manual_node(int32 id, ptr<test_network> network);
    ~manual_node();

    void start(const raft_params& params, cb_func::func_type callback = nullptr,
               bool skip_election_timer = false);
    void stop();

    const int32 id;
    const std::string endpoint;
    ptr<memory_state_mgr> mgr;
    ptr<memory_state_machine> sm = cs_new<memory_state_machine>();
    ptr<manual_scheduler> timers = cs_new<manual_scheduler>();
    ptr<raft_server> server;
    global_mgr* manager = nullptr;  ///< For the next start, as the next.
    std::function<ptr<raft_server>(context*, const raft_server::init_options&)> make_server;

private:
    ptr<test_network> network_;
};

}  // namespace test
}  // namespace nuraft
