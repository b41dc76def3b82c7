#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "doubles/manual_node.hxx"
#include "doubles/stepped_network.hxx"
#include "doubles/waiting.hxx"
#include "libnuraft/nuraft.hxx"

namespace nuraft {
namespace test {

/// `manual_params` with results that come later: nobody may wait in the thread that moves messages.
raft_params stepped_params();

/// Member `id` of a stepped cluster, with this priority.
ptr<srv_config> server_of(int32 id, int32 priority);

/// Servers driven by hand on a stepped network, and what their programs were told.
class stepped_cluster {
public:
    using answer = std::function<cb_func::ReturnCode(int32, cb_func::Type, cb_func::Param*)>;

    struct event {
        int32 server;
        cb_func::Type type;
        int32 peer;
        uint64_t value;  ///< Index or term that came with it; 0: none.
    };

    /// Servers 1..n that know each other, or this configuration; none runs yet.
    explicit stepped_cluster(int32 servers);
    explicit stepped_cluster(const std::vector<ptr<srv_config>>& servers);
    ~stepped_cluster();

    /// Starts all that do not run yet.
    void start(const raft_params& params = stepped_params());
    void start(int32 id, const raft_params& params, bool skip_election_timer = false);
    void stop(int32 id) { node(id).stop(); }
    /// Another server, not running, whose own configuration holds itself only.
    void add_stranger(int32 id);
    /// As `start`, then server 1 leads and everybody has applied its configuration.
    void lead(const raft_params& params = stepped_params());

    manual_node& node(int32 id);
    raft_server& server(int32 id) { return *node(id).server; }

    /// Lets timers of this kind run out; then everything is delivered.
    void timeout(int32 id);  ///< The election timer.
    void beat(int32 id);     ///< Heartbeats.
    void retry(int32 id);    ///< Heartbeats, and the timers of neither kind.
    /// Lets the election timer run out until the server leads.
    testing::AssertionResult elect(int32 id);
    /// Heartbeats of this server until `reached()`.
    template <typename F>
    testing::AssertionResult beat_until(int32 id, const std::string& what, F&& reached) {
        return eventually(what, [&] {
            beat(id);
            return reached();
        });
    }
    /// Delivers until all running members have applied all that `leader` has in its log.
    testing::AssertionResult settle(int32 leader);

    ptr<cmd_result<ptr<buffer>>> append(int32 id, const std::string& text);
    ptr<cmd_result<ptr<buffer>>> append_batch(int32 id, const std::vector<std::string>& texts);

    /// What the programs answer to callbacks from now on; null: Ok.
    void decide(answer a);
    /// All of this kind that a server's program was told.
    std::vector<event> events(int32 id, cb_func::Type type) const;
    int count(int32 id, cb_func::Type type) const {
        return static_cast<int>(events(id, type).size());
    }
    void forget_events();

    const ptr<stepped_network> network = cs_new<stepped_network>();

private:
    cb_func::ReturnCode on_event(int32 id, cb_func::Type type, cb_func::Param* param);

    std::vector<std::unique_ptr<manual_node>> nodes_;
    mutable std::mutex lock_;
    answer answer_;  ///< Guarded by `lock_`, as the next.
    std::vector<event> events_;
};

/// Term and payload of each entry, for comparing logs.
std::vector<std::string> content_of(memory_log_store& log);

}  // namespace test
}  // namespace nuraft
