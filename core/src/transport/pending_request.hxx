#pragma once

#include <asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "base/request_unsent.hxx"
#include "rpc_cli.hxx"
#include "transport/log.hxx"

namespace nuraft {
namespace transport {

/// A request whose sender waits. Completed exactly once: by an answer, by an error, or, if it is
/// dropped, by an error that says so. One thread at a time.
class pending_request {
public:
    /// The time limit counts from now; 0 ms is none.
    pending_request(ptr<req_msg> req, rpc_handler when_done, uint64_t limit_ms, ptr<logger> log)
        : limit_ms(limit_ms),
          deadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms)),
          req_(std::move(req)),
          when_done_(std::move(when_done)),
          log_(std::move(log)) {}
    ~pending_request() { fail("the connection ended"); }
    pending_request(const pending_request&) = delete;
    pending_request& operator=(const pending_request&) = delete;

    const uint64_t limit_ms;
    const std::chrono::steady_clock::time_point deadline;
    /// Runs while the request waits for its answer, if that has a time limit.
    std::unique_ptr<asio::steady_timer> timer;

    req_msg& request() { return *req_; }
    bool completed() const { return !when_done_; }
    /// From now on the other end may have it, or part of it.
    void leaves() { left_ = true; }
    void respond(ptr<resp_msg> resp) { complete(std::move(resp), nullptr); }
    void fail(const std::string& reason) {
        if (!when_done_) return;
        complete(nullptr, left_ ? cs_new<rpc_exception>(reason, req_)
                                : cs_new<request_unsent>(reason, req_));
    }

private:
    void complete(ptr<resp_msg> resp, ptr<rpc_exception> error) {
        timer.reset();
        // Taken first: the handler may come back to this connection.
        rpc_handler when_done;
        when_done.swap(when_done_);
        if (when_done)
            guarded(log_, "the completion of a request", [&] { when_done(resp, error); });
    }

    const ptr<req_msg> req_;
    rpc_handler when_done_;  // empty once completed
    bool left_ = false;
    const ptr<logger> log_;
};

}  // namespace transport
}  // namespace nuraft
