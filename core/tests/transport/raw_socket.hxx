#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "buffer.hxx"
#include "transport/waiting.hxx"

namespace nuraft {
namespace transport {

/// A blocking socket that knows nothing of the protocol: the end that misbehaves. Operations give
/// up after `patience`.
class raw_socket {
public:
    static sockaddr_in loopback(uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }
    static raw_socket connected_to(uint16_t port) {
        raw_socket made(::socket(AF_INET, SOCK_STREAM, 0));
        const sockaddr_in to = loopback(port);
        if (::connect(made.fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0)
            throw std::runtime_error("cannot connect to port " + std::to_string(port));
        return made;
    }
    explicit raw_socket(int fd) : fd_(fd) {
        const timeval limit{patience.count(), 0};
        setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    }
    raw_socket(raw_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ~raw_socket() { close(); }

    /// The port at this end.
    uint16_t port() const {
        sockaddr_in own{};
        socklen_t size = sizeof(own);
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size);
        return ntohs(own.sin_port);
    }
    /// False if the other end does not take it.
    bool send(const void* bytes, size_t size) {
        const char* at = static_cast<const char*>(bytes);
        while (size > 0) {
            const ssize_t sent = ::send(fd_, at, size, MSG_NOSIGNAL);
            if (sent <= 0) return false;
            at += sent;
            size -= static_cast<size_t>(sent);
        }
        return true;
    }
    bool send(const std::vector<byte>& bytes) { return send(bytes.data(), bytes.size()); }
    bool send(const ptr<buffer>& b) { return send(b->data_begin(), b->size()); }
    /// Fewer bytes if the connection ended before.
    std::vector<byte> receive(size_t size) {
        std::vector<byte> bytes(size);
        size_t have = 0;
        while (have < size) {
            const ssize_t came = ::recv(fd_, bytes.data() + have, size - have, 0);
            if (came <= 0) break;
            have += static_cast<size_t>(came);
        }
        bytes.resize(have);
        return bytes;
    }
    /// Waits for the other end to close; false if it sends something instead or does neither.
    bool closed_by_peer() {
        char next;
        const ssize_t came = ::recv(fd_, &next, 1, 0);
        return came == 0 || (came < 0 && errno == ECONNRESET);
    }
    /// Nothing more will be sent; answers may still come.
    void end_sending() { ::shutdown(fd_, SHUT_WR); }
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

private:
    int fd_;
};

/// The accepting counterpart, on a port of 127.0.0.1 that the system chooses.
class raw_acceptor {
public:
    raw_acceptor() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address = raw_socket::loopback(0);
        socklen_t size = sizeof(address);
        auto* name = reinterpret_cast<sockaddr*>(&address);
        if (::bind(fd_, name, size) != 0 || ::listen(fd_, 16) != 0 ||
            ::getsockname(fd_, name, &size) != 0)
            throw std::runtime_error("cannot listen on the loopback");
        port_ = ntohs(address.sin_port);
    }
    raw_acceptor(const raw_acceptor&) = delete;
    ~raw_acceptor() { ::close(fd_); }

    uint16_t port() const { return port_; }
    std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
    raw_socket accept() {
        pollfd ready{fd_, POLLIN, 0};
        const auto limit = std::chrono::milliseconds(patience).count();
        if (::poll(&ready, 1, static_cast<int>(limit)) != 1)
            throw std::runtime_error("nobody connects");
        return raw_socket(::accept(fd_, nullptr, nullptr));
    }

private:
    int fd_;
    uint16_t port_ = 0;
};

}  // namespace transport
}  // namespace nuraft
