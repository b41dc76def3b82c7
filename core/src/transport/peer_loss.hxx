#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <asio/ip/tcp.hpp>

namespace nuraft {
namespace transport {

/// An idle connection is probed after this many seconds, this often, this many seconds apart; and
/// this many milliseconds may pass until what was sent is acknowledged.
constexpr int probe_after_s = 15;
constexpr int probes = 3;
constexpr int probe_interval_s = 5;
constexpr int unacknowledged_ms_max = 30000;

/// Has the system end the connection if the other end is gone without a farewell: by reboot, power
/// failure, or a network that forgot the connection. Half a minute either way. Systems that do not
/// know an option do without it.
inline void end_without_peer_of(asio::ip::tcp::socket& socket) {
    asio::error_code ignored;  // It would be noticed later, at the next frame or by giving way.
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    const auto set = [&](int option, int value) {
        ::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof(value));
    };
#ifdef TCP_KEEPIDLE
    set(TCP_KEEPIDLE, probe_after_s);
    set(TCP_KEEPINTVL, probe_interval_s);
    set(TCP_KEEPCNT, probes);
#endif
#ifdef TCP_USER_TIMEOUT
    set(TCP_USER_TIMEOUT, unacknowledged_ms_max);
#endif
}

}  // namespace transport
}  // namespace nuraft
