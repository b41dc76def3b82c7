#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "doubles/memory.hxx"
#include "doubles/waiting.hxx"
#include "libnuraft/nuraft.hxx"

namespace nuraft {
namespace test {

/// Short times, yet long enough for a busy machine under a sanitizer.
raft_params quick_params();

/// A TCP port of the loopback that nobody else takes while this object lives.
class reserved_port {
public:
    reserved_port();
    ~reserved_port();
    reserved_port(const reserved_port&) = delete;
    reserved_port& operator=(const reserved_port&) = delete;
    int number() const { return number_; }

private:
    int socket_ = -1;
    int number_ = 0;
};

/// One server over the asio transport. State, log and state machine survive `stop`.
class asio_node {
public:
    explicit asio_node(int32 id);
    ~asio_node();

    const std::string& endpoint() const { return endpoint_; }
    void found(ptr<cluster_config> config);
    void start(const raft_params& params,
               const raft_server::init_options& opt = raft_server::init_options());
    void stop();
    bool running() const { return server != nullptr; }

    const int32 id;
    ptr<memory_state_mgr> mgr;
    ptr<memory_state_machine> sm = cs_new<memory_state_machine>();
    ptr<memory_logger> log = cs_new<memory_logger>();
    ptr<raft_server> server;
    asio_service::options transport;  ///< For the next start.

private:
    reserved_port port_;
    std::string endpoint_;
    std::unique_ptr<raft_launcher> launcher_;
};

/// Servers 1..n of one cluster.
class asio_cluster {
public:
    /// Builds and starts them.
    explicit asio_cluster(int32 servers, const raft_params& params = quick_params(),
                          bool streaming = false,
                          const std::function<ptr<memory_state_machine>()>& make_machine = nullptr);

    asio_node& node(int32 id) { return *nodes_[static_cast<size_t>(id - 1)]; }
    std::vector<std::unique_ptr<asio_node>>& nodes() { return nodes_; }
    /// The one leader that all running servers agree on; null and a failure if it does not come.
    asio_node* wait_for_leader();
    asio_node& any_follower();
    /// Every running server has applied a command of this text.
    testing::AssertionResult all_have(const std::string& text);

private:
    std::vector<std::unique_ptr<asio_node>> nodes_;
};

/// One entry of this text; the call's result.
ptr<cmd_result<ptr<buffer>>> append(raft_server& server, const std::string& text);
/// The entries `first` to `end - 1`, their numbers as text, one after the other.
void append_many(raft_server& server, int first, int end);
/// The value of a finished result; empty if there is none.
std::string value_of(cmd_result<ptr<buffer>>& result);

}  // namespace test
}  // namespace nuraft
