#pragma once

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "asio_service_options.hxx"
#include "transport/log.hxx"
#include "transport/tls_contexts.hxx"

namespace nuraft {
namespace transport {

/// Something that uses an I/O context and must let go of it before the context ends.
class closable {
public:
    virtual ~closable() = default;
    /// Ends it. Any thread, any number of times, does not wait.
    virtual void close() = 0;
};

/// What the connections, listeners and timers of one service share. They keep it alive, it keeps
/// none of them alive, and it does not own the I/O contexts: after `stop` nobody touches those.
class service_core {
public:
    service_core(const asio_service_options& opt, ptr<logger> l,
                 std::vector<asio::io_context*> contexts)
        : options(opt),
          log(std::move(l)),
          tls(make_tls_contexts(opt)),
          contexts_(std::move(contexts)) {}

    const asio_service_options options;
    const ptr<logger> log;
    const tls_contexts tls;

    /// For what `add` accepted, until `close` ended it. One after the other, so that connections
    /// spread over the workers.
    asio::io_context& context() { return *contexts_[next_context_++ % contexts_.size()]; }

    /// Runs `f` on a worker; false if the service is stopped and `f` will not run.
    template <typename F>
    bool post(F&& f) {
        std::lock_guard<std::mutex> guard(lock_);
        if (stopped_) return false;
        asio::post(context(), std::forward<F>(f));
        return true;
    }

    /// Has `c` closed when the service stops; false if it is stopped already.
    bool add(const std::shared_ptr<closable>& c);
    /// For destructors.
    void remove(closable* c);
    /// Closes everything. Any thread, any number of times.
    void stop();

    uint64_t next_session_id() { return ++last_session_id_; }

private:
    const std::vector<asio::io_context*> contexts_;  // one at least
    std::atomic<size_t> next_context_{0};
    std::atomic<uint64_t> last_session_id_{0};
    std::mutex lock_;  // guards the rest
    bool stopped_ = false;
    std::unordered_map<closable*, std::weak_ptr<closable>> open_;
};

}  // namespace transport
}  // namespace nuraft
