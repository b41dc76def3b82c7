#pragma once

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "rpc_listener.hxx"
#include "transport/door_policy.hxx"
#include "transport/request_sink.hxx"
#include "transport/service_core.hxx"
#include "transport/session.hxx"

namespace nuraft {
namespace transport {

/// Accepts connections on one port and keeps their sessions. When there are as many as there may
/// be, a new one takes the place of the session from which no valid request has come for the
/// longest: strangers first, so that those who connect and say nothing keep nobody out.
/// Thread-safe.
class listener : public rpc_listener,
                 public closable,
                 public std::enable_shared_from_this<listener> {
public:
    /// Pause after a failure to accept, such as a lack of file descriptors.
    static constexpr int accept_retry_ms = 100;

    /// Binds and listens on all IPv4 addresses; port 0 lets the system choose. Null, with a line in
    /// the log, if that fails or the service is stopped.
    static std::shared_ptr<listener> open(std::shared_ptr<service_core> core, uint16_t port,
                                          ptr<logger> log,
                                          const door_limits& limits = door_limits());
    ~listener() override;

    /// The port that is bound.
    uint16_t port() const { return port_; }
    const door_policy& policy() const { return *policy_; }

    void listen(ptr<msg_handler>& handler) override;
    /// The same for any sink. Once.
    void listen_to(std::shared_ptr<request_sink> sink);
    /// The port is free when it returns.
    void stop() override;
    /// Sessions end soon after it returns, and with them their hold on the handler.
    void shutdown() override;
    void close() override;

private:
    using tcp = asio::ip::tcp;

    listener(std::shared_ptr<service_core> core, ptr<logger> log, const door_limits& limits);

    bool bind(uint16_t port);
    void accept_next();
    void accepted(const std::shared_ptr<session>& s, const asio::error_code& ec);
    void make_place();
    void session_ended(uint64_t id);

    const std::shared_ptr<service_core> core_;
    const std::shared_ptr<door_policy> policy_;
    const ptr<logger> log_;
    uint16_t port_ = 0;

    std::mutex lock_;                                  // guards the rest, and the acceptor's use
    std::unique_ptr<tcp::acceptor> acceptor_;          // null once stopped
    std::unique_ptr<asio::steady_timer> retry_timer_;  // null once stopped
    std::shared_ptr<request_sink> sink_;               // null before `listen` and once shut down
    std::unordered_map<uint64_t, std::shared_ptr<session>> sessions_;
};

/// The port that a listener made by `asio_service` is bound to; 0 for any other listener.
uint16_t bound_port(const ptr<rpc_listener>& l);

}  // namespace transport
}  // namespace nuraft
