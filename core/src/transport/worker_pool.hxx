#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "asio_service_options.hxx"
#include "transport/log.hxx"

namespace nuraft {
namespace transport {

/// Threads with an I/O context each. Not one context for all: threads that share one wake each
/// other for every event, which costs more than the event.
class worker_pool {
public:
    using contexts = std::vector<std::unique_ptr<asio::io_context>>;

    /// `thread_pool_size_` of them, or one for each core if that is 0.
    static contexts make_contexts(const asio_service_options& options);

    /// Starts a thread for each context; they must outlive the pool.
    worker_pool(const contexts& contexts, const asio_service_options& options, ptr<logger> log);
    /// Stops, if that was not done.
    ~worker_pool() { stop(); }
    worker_pool(const worker_pool&) = delete;
    worker_pool& operator=(const worker_pool&) = delete;

    /// Ends the threads after the handlers that they are in, and waits for them. Not from one of
    /// them.
    void stop();
    /// Threads that run; any thread may ask.
    uint32_t active() const { return active_; }

private:
    struct worker {
        asio::io_context& context;
        asio::executor_work_guard<asio::io_context::executor_type> keep_running;
        std::thread thread;
    };

    void work(asio::io_context& context, uint32_t number);

    const asio_service_options options_;
    const ptr<logger> log_;
    std::atomic<uint32_t> active_{0};
    std::vector<worker> workers_;
};

}  // namespace transport
}  // namespace nuraft
