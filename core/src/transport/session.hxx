#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "transport/answer_queue.hxx"
#include "transport/door_policy.hxx"
#include "transport/frame_body.hxx"
#include "transport/frame_budget.hxx"
#include "transport/leader_watch.hxx"
#include "transport/request_codec.hxx"
#include "transport/request_sink.hxx"
#include "transport/service_core.hxx"
#include "transport/stream.hxx"

namespace nuraft {
namespace transport {

/// The accepting side of one connection: reads requests, hands them to the sink and writes the
/// answers in the order of the requests. A frame that lies, stalls or is too much, a request
/// without an answer or a lost connection end this session and nothing else.
class session : public std::enable_shared_from_this<session> {
public:
    /// How long a TLS handshake may take, and how long a failed one keeps the connection.
    static constexpr int handshake_limit_ms = 10000;
    static constexpr int failed_handshake_linger_ms = 500;

    /// `ended` is called once, from a worker, when the session is over.
    session(std::shared_ptr<service_core> core, std::shared_ptr<door_policy> policy,
            std::shared_ptr<request_sink> sink, ptr<logger> log,
            std::function<void(uint64_t)> ended);

    uint64_t id() const { return id_; }
    /// Number of the latest valid request among those of all sessions; 0 for a stranger, that is
    /// before the first. Any thread.
    uint64_t last_request() const { return last_request_; }
    /// What the listener accepts into, before `start`.
    asio::ip::tcp::socket& socket() { return link_->socket(); }
    /// Begins to serve an accepted connection.
    void start();
    /// Ends it: any thread, any number of times, does not wait.
    void close(const std::string& reason);

private:
    using stream_ptr = std::shared_ptr<stream>;

    // Steps of the session's life. They run one at a time and belong to `link`.
    void open(const stream_ptr& link);
    void secured(const stream_ptr& link);
    void handshake_failed(const stream_ptr& link, const std::string& reason);
    void read_on(const stream_ptr& link);
    void await_part(const stream_ptr& link);
    void part_read(const stream_ptr& link);
    bool take_part(const stream_ptr& link);
    bool begin_frame(const stream_ptr& link);
    bool has_memory_for_next_piece(const stream_ptr& link);
    bool take_request(const stream_ptr& link);
    void drop_frame();
    void watch_for_stall(const stream_ptr& link);
    void look_for_stall(const stream_ptr& link);
    void submit(const ptr<req_msg>& req, frame_share held);
    void answer(const stream_ptr& link, uint64_t number, const ptr<resp_msg>& resp);
    void flush(const stream_ptr& link);
    void written(const stream_ptr& link);
    void refuse_frame(const stream_ptr& link, const verdict& v);

    // How it ends: after the answers that are due, or at once.
    void end_after_answers(const stream_ptr& link, const std::string& reason);
    void end_now(const stream_ptr&, const std::string& reason) { finish(reason); }
    void finish(const std::string& reason);

    verdict encode_answer(req_msg& req, resp_msg& resp, ptr<buffer>& frame) const;
    void announce(const req_msg& req);
    void fire(cb_func::Type event);

    /// An exception, such as a lack of memory, ends the session at once.
    template <typename F>
    void attempt(F&& step);
    /// Runs `step(*this, link)` unless the session ended: at once, or after the step that another
    /// thread runs.
    template <typename F>
    void dispatch(F&& step);
    /// The same, always later.
    template <typename F>
    void post(F&& step);
    /// A completion that goes on with `step(link)`, or with `failed(link, reason)` after an error.
    auto then(const stream_ptr& link, void (session::*step)(const stream_ptr&),
              void (session::*failed)(const stream_ptr&, const std::string&));

    const std::shared_ptr<service_core> core_;
    const std::shared_ptr<door_policy> policy_;
    const ptr<logger> log_;
    const std::function<void(uint64_t)> ended_;
    const uint64_t id_;
    std::atomic<uint64_t> last_request_{0};

    std::mutex lock_;  // guards link_ against ending while others post to it
    stream_ptr link_;  // null once ended

    // For steps only.
    std::shared_ptr<request_sink> sink_;  // null once ended
    cb_func::ConnectionArgs peer_;
    leader_watch leader_;
    bool opened_ = false;  // the first request came
    bool over_ = false;
    bool reading_ = false;
    bool writing_ = false;
    answer_queue answers_;
    std::vector<ptr<buffer>> frames_;  // being written
    std::array<byte, request_header_size> header_bytes_;
    request_header header_;
    frame_body body_;
    frame_share share_;                                                        // of `body_`
    std::chrono::steady_clock::time_point stall_deadline_;                     // of the next piece
    bool watching_ = false;                                                    // for a stall
    bool in_body_ = false;                                                     // the header is here
    asio::mutable_buffer wanted_{header_bytes_.data(), header_bytes_.size()};  // what to read next
};

}  // namespace transport
}  // namespace nuraft
