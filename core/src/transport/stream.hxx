#pragma once

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/ssl.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/write.hpp>
#include <memory>
#include <utility>

namespace nuraft {
namespace transport {

/// One TCP connection, plain or under TLS, with all that must go when it goes. Operations and their
/// completions belong to its strand; a completion keeps the stream it belongs to alive.
class stream {
    using strand = asio::strand<asio::io_context::executor_type>;
    using tls_stream = asio::ssl::stream<asio::ip::tcp::socket>;

public:
    /// `tls`: null for a plain connection; else it must outlive the stream.
    stream(asio::io_context& context, asio::ssl::context* tls)
        : executor_(asio::make_strand(context)),
          timer_(executor_),
          tls_(tls ? std::make_unique<tls_stream>(executor_, *tls) : nullptr),
          plain_(tls ? nullptr : std::make_unique<asio::ip::tcp::socket>(executor_)) {}

    const strand& executor() const { return executor_; }
    /// For the deadline of whatever the connection is in.
    asio::steady_timer& timer() { return timer_; }
    asio::ip::tcp::socket& socket() { return tls_ ? tls_->next_layer() : *plain_; }

    /// The client's check of the peer's certificates; nothing on a plain connection. The chain is
    /// verified unless `mode` is `verify_none`; `check` sees each certificate of it.
    template <typename F>
    void set_verification(asio::ssl::verify_mode mode, F&& check) {
        if (!tls_) return;
        tls_->set_verify_mode(mode);
        tls_->set_verify_callback(std::forward<F>(check));
    }

    bool is_tls() const { return tls_ != nullptr; }

    /// Only on a TLS connection.
    template <typename F>
    void async_handshake(asio::ssl::stream_base::handshake_type side, F&& done) {
        tls_->async_handshake(side, std::forward<F>(done));
    }
    /// Fills the whole area.
    template <typename F>
    void async_read(const asio::mutable_buffer& area, F&& done) {
        if (tls_)
            asio::async_read(*tls_, area, std::forward<F>(done));
        else
            asio::async_read(*plain_, area, std::forward<F>(done));
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
    const strand executor_;
    asio::steady_timer timer_;
    const std::unique_ptr<tls_stream> tls_;
    const std::unique_ptr<asio::ip::tcp::socket> plain_;
};

}  // namespace transport
}  // namespace nuraft
