#pragma once

#include <array>
#include <asio/buffer.hpp>
#include <asio/completion_condition.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <memory>
#include <utility>
#include <vector>

#include "basic_types.hxx"
#include "transport/peer_loss.hxx"
#include "transport/serial_executor.hxx"
#include "transport/tls.hxx"

namespace nuraft {
namespace transport {

/// One TCP connection, plain or under TLS, with all that must go when it goes. Operations and their
/// completions belong to its executor; a completion keeps the stream it belongs to alive.
class stream {
public:
    /// `tls`: null for a plain connection; else it must outlive the stream.
    stream(asio::io_context& context, tls_context* tls)
        : executor_(context),
          timer_(executor_),
          tls_(tls ? std::make_unique<tls_stream>(executor_, *tls) : nullptr),
          plain_(tls ? nullptr : std::make_unique<asio::ip::tcp::socket>(executor_)) {}

    const serial_executor& executor() const { return executor_; }
    /// For the deadline of whatever the connection is in.
    asio::steady_timer& timer() { return timer_; }
    asio::ip::tcp::socket& socket() { return tls_ ? tls_->next_layer() : *plain_; }

    bool is_tls() const { return tls_ != nullptr; }

#ifndef SSL_LIBRARY_NOT_FOUND
    /// The server's side of the handshake. Only on a TLS connection.
    template <typename F>
    void async_accept_tls(F&& done) {
        tls_->async_handshake(asio::ssl::stream_base::server, std::forward<F>(done));
    }
    /// The client's side. With `verify` the peer's chain is verified; `check` sees each certificate
    /// of it in any case.
    template <typename Check, typename F>
    void async_connect_tls(bool verify, Check&& check, F&& done) {
        tls_->set_verify_mode(verify ? asio::ssl::verify_peer : asio::ssl::verify_none);
        tls_->set_verify_callback(std::forward<Check>(check));
        tls_->async_handshake(asio::ssl::stream_base::client, std::forward<F>(done));
    }
#else
    template <typename F>
    void async_accept_tls(F&&) {}
    template <typename Check, typename F>
    void async_connect_tls(bool, Check&&, F&&) {}
#endif
    /// Once the connection is there.
    void opened() {
        asio::error_code ec;  // Without these the connection is slow, not wrong.
        socket().set_option(asio::ip::tcp::no_delay(true), ec);
        socket().non_blocking(true, ec);
        may_write_now_ = !ec && !tls_;
    }

    /// Has the system end the connection if the other end is gone without a farewell.
    void end_without_peer() {
        end_without_peer_of(socket());
    }

    /// Fills the area with what was read ahead. False if that is too little: `area` is then the
    /// part that is left, for `async_read`.
    bool read_now(asio::mutable_buffer& area) {
        const size_t copied =
            asio::buffer_copy(area, asio::buffer(ahead_) + ahead_begin_, ahead_end_ - ahead_begin_);
        ahead_begin_ += copied;
        area += copied;
        return area.size() == 0;
    }
    /// Fills the whole area, after `read_now` could not. What else is there is read ahead, so that
    /// a small frame takes one read.
    template <typename F>
    void async_read(const asio::mutable_buffer& area, F&& done) {
        if (tls_)
            read_from(*tls_, area, std::forward<F>(done));
        else
            read_from(*plain_, area, std::forward<F>(done));
    }

    /// Writes what can be written without waiting, and leaves the rest in `bytes`. True: nothing is
    /// left. An error shows when the rest is written.
    bool write_now(std::vector<asio::const_buffer>& bytes) {
        if (!may_write_now_) return false;
        asio::error_code ec;
        size_t written = plain_->write_some(bytes, ec);
        size_t gone = 0;
        while (gone < bytes.size() && written >= bytes[gone].size())
            written -= bytes[gone++].size();
        bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(gone));
        if (!bytes.empty()) bytes.front() += written;
        return bytes.empty();
    }
    /// Writes all the buffers, which must stay until `done` is called.
    template <typename Buffers, typename F>
    void async_write(const Buffers& buffers, F&& done) {
        if (tls_)
            asio::async_write(*tls_, buffers, std::forward<F>(done));
        else
            asio::async_write(*plain_, buffers, std::forward<F>(done));
    }
    /// Ends the connection without a TLS farewell, as members expect. Pending operations complete
    /// with an error.
    void close() {
        asio::error_code ignored;  // Nothing can be done about a socket that does not close.
        socket().close(ignored);
        timer_.cancel();
    }

private:
    template <typename Socket, typename F>
    void read_from(Socket& from, const asio::mutable_buffer& area, F&& done) {
        if (area.size() >= ahead_.size())
            return asio::async_read(from, area, std::forward<F>(done));
        asio::async_read(from, asio::buffer(ahead_), asio::transfer_at_least(area.size()),
                         [this, area, done = std::forward<F>(done)](const asio::error_code& ec,
                                                                    size_t size) mutable {
                             ahead_begin_ = 0;
                             ahead_end_ = size;
                             asio::mutable_buffer left = area;
                             if (!ec) read_now(left);
                             done(ec, area.size());
                         });
    }

    const serial_executor executor_;
    asio::steady_timer timer_;
    const std::unique_ptr<tls_stream> tls_;
    const std::unique_ptr<asio::ip::tcp::socket> plain_;
    bool may_write_now_ = false;
    std::array<byte, 16384> ahead_;
    size_t ahead_begin_ = 0;  // Between these two: read, and not asked for yet.
    size_t ahead_end_ = 0;
};

}  // namespace transport
}  // namespace nuraft
