#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "transport/endpoint.hxx"
#include "transport/frame_body.hxx"
#include "transport/pending_request.hxx"
#include "transport/response_codec.hxx"
#include "transport/service_core.hxx"
#include "transport/stream.hxx"

namespace nuraft {
namespace transport {

/// The connecting side of one connection: dials on the first request, writes requests and pairs
/// the answers with them by order. Whatever fails ends it for good, with all that is pending.
class client_connection : public closable, public std::enable_shared_from_this<client_connection> {
public:
    /// Requests that may wait or be under way at once; more are refused.
    static constexpr size_t max_pending = 4096;
    /// How long resolving, connecting and the TLS handshake may take together.
    static constexpr int dial_limit_ms = 5000;

    static std::shared_ptr<client_connection> make(std::shared_ptr<service_core> core,
                                                   const endpoint_name& peer);
    ~client_connection() override;

    /// Queues a request; any thread. `when_done` is called exactly once, later and from a worker
    /// (inline only if the service is stopped). `timeout_ms` counts from now; 0 is no limit.
    void send(const ptr<req_msg>& req, const rpc_handler& when_done, uint64_t timeout_ms);
    /// True once a failure or `close` ended the connection.
    bool is_abandoned() const { return abandoned_; }
    void close() override;

private:
    using pending_ptr = std::shared_ptr<pending_request>;
    using stream_ptr = std::shared_ptr<stream>;

    client_connection(std::shared_ptr<service_core> core, const endpoint_name& peer);

    void start(const stream_ptr& link, const pending_ptr& request);
    /// Ends the connection, but not before this returns. Any thread.
    void abandon_later(const std::string& reason);

    // Steps of the connection's life. They run one at a time and belong to `link`.
    void enqueued(const stream_ptr& link, const pending_ptr& request);
    void dial(const stream_ptr& link);
    void ask_resolver_hook();
    void resolve(const stream_ptr& link, const endpoint_name& where);
    void resolved(const stream_ptr& link, const asio::ip::tcp::resolver::results_type& where);
    void connected(const stream_ptr& link);
    void ready(const stream_ptr& link);
    void write_on(const stream_ptr& link);
    bool encode(const pending_ptr& request);
    void written(const stream_ptr& link);
    void read_on(const stream_ptr& link);
    void part_read(const stream_ptr& link);
    bool take_part(const stream_ptr& link);
    bool take_answer(const stream_ptr& link);
    void refuse_frame(const verdict& v);
    void abandon(const std::string& reason);

    /// An exception, such as a lack of memory, ends the connection.
    template <typename F>
    void attempt(F&& step);
    /// Runs `step(*this, link)` as one of them, later, unless the connection ended. Any thread.
    template <typename F>
    void post(F&& step);
    /// A completion that goes on with `step(*this, link)` or `step(*this, link, result)`. An error,
    /// which `what` puts a name to, ends the connection.
    template <typename F>
    auto then(const stream_ptr& link, const char* what, F&& step);
    std::string name() const { return peer_.host + ":" + peer_.port; }

    const std::shared_ptr<service_core> core_;
    const endpoint_name peer_;
    std::atomic<bool> abandoned_{false};

    std::mutex lock_;  // guards link_ and queue_
    stream_ptr link_;  // null once abandoned
    std::deque<pending_ptr> queue_;

    // For steps only.
    enum class stage { idle, naming, connecting, ready };
    stage stage_ = stage::idle;
    size_t written_ = 0;  // how many of queue_ were given to the socket
    bool writing_ = false;
    std::vector<ptr<buffer>> frames_;  // being written
    std::array<byte, response_header_size> header_bytes_;
    response_header header_;
    frame_body body_;
    bool in_body_ = false;                                                     // the header is here
    asio::mutable_buffer wanted_{header_bytes_.data(), header_bytes_.size()};  // what to read next
};

}  // namespace transport
}  // namespace nuraft
