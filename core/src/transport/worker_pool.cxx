#include "transport/worker_pool.hxx"

#include <pthread.h>

#include <algorithm>
#include <string>
#include <utility>

namespace nuraft {
namespace transport {

worker_pool::contexts worker_pool::make_contexts(const asio_service_options& options) {
    size_t count = options.thread_pool_size_;
    if (count == 0) count = std::max(1u, std::thread::hardware_concurrency());
    contexts made;
    while (made.size() < count) {
        constexpr int threads = 1;
        made.push_back(std::make_unique<asio::io_context>(threads));
    }
    return made;
}

worker_pool::worker_pool(const contexts& contexts, const asio_service_options& options,
                         ptr<logger> log)
    : options_(options), log_(std::move(log)), active_(static_cast<uint32_t>(contexts.size())) {
    for (const auto& context : contexts) {
        const auto number = static_cast<uint32_t>(workers_.size());
        workers_.push_back(
            {*context, asio::make_work_guard(*context),
             std::thread([this, &context = *context, number] { work(context, number); })});
    }
}

void worker_pool::stop() {
    for (worker& w : workers_) {
        w.keep_running.reset();
        w.context.stop();
    }
    for (worker& w : workers_) w.thread.join();
    workers_.clear();
}

void worker_pool::work(asio::io_context& context, uint32_t number) {
#ifdef __linux__
    const std::string name = "nuraft_w_" + std::to_string(number);
    pthread_setname_np(pthread_self(), name.c_str());
#endif
    if (options_.worker_start_)
        guarded(log_, "worker_start_", [&] { options_.worker_start_(number); });
    // `run` leaves by an exception of a handler, with the rest of the work still to do.
    while (!guarded(log_, "an I/O handler", [&context] { context.run(); })) {
    }
    if (options_.worker_stop_)
        guarded(log_, "worker_stop_", [&] { options_.worker_stop_(number); });
    --active_;
}

}  // namespace transport
}  // namespace nuraft
