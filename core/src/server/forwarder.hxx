#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "async.hxx"
#include "buffer.hxx"
#include "req_msg.hxx"
#include "resp_msg.hxx"
#include "rpc_cli.hxx"
#include "rpc_cli_factory.hxx"

namespace nuraft {

/// Sends requests of local clients to the leader (behaviour 18): a pool of connections for each
/// leader, one request on each at a time, and a queue for what finds all of them taken.
///
/// Thread-safe. Results are completed, and clients used, outside the lock.
class forwarder : public std::enable_shared_from_this<forwarder> {
public:
    struct target {
        int32_t leader = -1;
        std::string endpoint;
        int32_t max_connections = 1;
        uint64_t send_timeout_ms = 0;  ///< 0: none.
        /// How long it may take the leader to answer once another leads.
        std::chrono::milliseconds patience{0};
    };

    /// One request on its way.
    struct order {
        ptr<req_msg> req;
        target to;
        ptr<cmd_result<ptr<buffer>>> result;
        ptr<rpc_client> client;  ///< While it is under way. Guarded by the forwarder's lock.
        std::chrono::steady_clock::time_point sent_at;  ///< Likewise.
        bool claimed = false;  ///< Somebody completes the result. Likewise.
        bool done = false;     ///< It is complete. Likewise.
    };

    explicit forwarder(ptr<rpc_client_factory> factory) : factory_(std::move(factory)) {}

    /// The result is what the leader says. If it gave no answer, that is `NOT_LEADER` for what was
    /// never sent and `FAILED` for what was, both with the exception.
    ptr<order> send(const ptr<req_msg>& req, const target& to);
    /// Waits for the result. A request that is still queued after `timeout_ms` (0: no limit) is
    /// taken back with `TIMEOUT`; what was sent is waited for until it is answered.
    void wait(const ptr<order>& o, int32_t timeout_ms);
    /// Whoever is queued for another leader than this one gets `NOT_LEADER`. What was sent to
    /// another gets `FAILED` when its patience is over: a leader that handed over still answers,
    /// one that is cut off or halted would keep its clients waiting.
    void leader_is(int32_t leader);
    /// Whether it may help to call `leader_is` again, because some still have patience.
    bool others_owe_answers() const { return others_owe_; }
    /// `CANCELLED` to all that have no result, and to whoever comes later.
    void close();

private:
    struct pool {
        std::vector<ptr<rpc_client>> idle;  ///< The most recently used one last.
        int32_t in_use = 0;
        std::deque<ptr<order>> queue;
    };

    /// Sends `o` on a slot of its pool that is taken already. A null client: dial anew.
    void dispatch(ptr<order> o, ptr<rpc_client> client);
    void on_answer(const ptr<order>& o, const ptr<resp_msg>& resp, const ptr<rpc_exception>& error);
    /// Gives a slot, and the client if it is of use, to the next in the queue, or back.
    void serve_next(const target& to, const ptr<rpc_client>& client);
    /// The next in the queue; null: there is nobody, and the slot is free again.
    ptr<order> next_after(const target& to, const ptr<rpc_client>& client);
    /// The first completion wins: an answer may race with `close`.
    void finish(const ptr<order>& o, cmd_result_code code, ptr<buffer> value = nullptr,
                ptr<std::exception> error = nullptr, bool accepted = false);

    std::mutex lock_;
    std::condition_variable finished_;
    ptr<rpc_client_factory> factory_;  ///< Guarded by `lock_`, as all below.
    bool closed_ = false;
    std::map<int32_t, pool> pools_;  ///< By leader.
    std::set<ptr<order>> open_;      ///< Those without a result.
    std::atomic<bool> others_owe_{false};
};

}  // namespace nuraft
