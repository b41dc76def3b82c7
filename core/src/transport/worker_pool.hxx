#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <atomic>
#include <thread>
#include <vector>

#include "asio_service_options.hxx"
#include "transport/log.hxx"

namespace nuraft {
namespace transport {

/// The threads that run an I/O context.
class worker_pool {
public:
    /// Starts `thread_pool_size_` threads, or one for each core if that is 0.
    worker_pool(asio::io_context& context, const asio_service_options& options, ptr<logger> log);
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
    void work(uint32_t number);

    asio::io_context& context_;
    const asio_service_options options_;
    const ptr<logger> log_;
    asio::executor_work_guard<asio::io_context::executor_type> keep_running_;
    std::atomic<uint32_t> active_{0};
    std::vector<std::thread> threads_;
};

}  // namespace transport
}  // namespace nuraft
