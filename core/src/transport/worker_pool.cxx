#include "transport/worker_pool.hxx"

#include <pthread.h>

#include <algorithm>
#include <string>
#include <utility>

namespace nuraft {
namespace transport {

worker_pool::worker_pool(asio::io_context& context, const asio_service_options& options,
                         ptr<logger> log)
    : context_(context),
      options_(options),
      log_(std::move(log)),
      keep_running_(asio::make_work_guard(context)) {
    size_t count = options_.thread_pool_size_;
    if (count == 0) count = std::max(1u, std::thread::hardware_concurrency());
    active_ = static_cast<uint32_t>(count);
    for (uint32_t number = 0; number < count; ++number)
        threads_.emplace_back([this, number] { work(number); });
}

void worker_pool::stop() {
    keep_running_.reset();
    context_.stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void worker_pool::work(uint32_t number) {
#ifdef __linux__
    const std::string name = "nuraft_w_" + std::to_string(number);
    pthread_setname_np(pthread_self(), name.c_str());
#endif
    if (options_.worker_start_)
        guarded(log_, "worker_start_", [&] { options_.worker_start_(number); });
    // `run` leaves by an exception of a handler, with the rest of the work still to do.
    while (!guarded(log_, "an I/O handler", [this] { context_.run(); })) {
    }
    if (options_.worker_stop_)
        guarded(log_, "worker_stop_", [&] { options_.worker_stop_(number); });
    --active_;
}

}  // namespace transport
}  // namespace nuraft
