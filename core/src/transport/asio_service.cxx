#include "asio_service.hxx"

#include <asio/io_context.hpp>
#include <memory>
#include <mutex>

#include "transport/client.hxx"
#include "transport/endpoint.hxx"
#include "transport/listener.hxx"
#include "transport/scheduler.hxx"
#include "transport/service_core.hxx"
#include "transport/worker_pool.hxx"

namespace nuraft {

/// Order of members is order of life: the I/O contexts come first and go last.
class asio_service_impl {
public:
    asio_service_impl(const asio_service_options& options, ptr<logger> log)
        : own_contexts_(options.custom_io_context_
                            ? transport::worker_pool::contexts()
                            : transport::worker_pool::make_contexts(options)),
          core_(std::make_shared<transport::service_core>(options, log, contexts(options))),
          scheduler_(std::make_shared<transport::scheduler>(core_)) {
        core_->add(scheduler_);
        if (!own_contexts_.empty())
            workers_ = std::make_unique<transport::worker_pool>(own_contexts_, options, log);
    }
    ~asio_service_impl() {
        stop();
        // With an external context what is open is asked to end, which its threads will see to.
        core_->stop();
    }

    const std::shared_ptr<transport::service_core>& core() const { return core_; }
    transport::scheduler& timers() { return *scheduler_; }
    uint32_t active_workers() const { return workers_ ? workers_->active() : 0; }

    void stop() {
        if (!workers_) return;
        std::lock_guard<std::mutex> guard(stop_lock_);
        if (stopped_) return;
        stopped_ = true;
        workers_->stop();
        core_->stop();
        // Nobody else runs the contexts any more: this thread lets what was open come to its end,
        // so that whoever waits for an answer hears of it.
        while (!transport::guarded(core_->log, "an I/O handler", [this] { finish_handlers(); })) {
        }
    }

private:
    std::vector<asio::io_context*> contexts(const asio_service_options& options) const {
        if (own_contexts_.empty()) return {options.custom_io_context_};
        std::vector<asio::io_context*> all;
        for (const auto& context : own_contexts_) all.push_back(context.get());
        return all;
    }

    /// A handler of one context may leave work for another.
    void finish_handlers() {
        size_t ran = 0;
        do {
            ran = 0;
            for (const auto& context : own_contexts_) {
                context->restart();
                ran += context->poll();
            }
        } while (ran > 0);
    }

    const transport::worker_pool::contexts own_contexts_;  // none with an external one
    const std::shared_ptr<transport::service_core> core_;
    const std::shared_ptr<transport::scheduler> scheduler_;
    std::unique_ptr<transport::worker_pool> workers_;  // null with an external context
    std::mutex stop_lock_;
    bool stopped_ = false;
};

asio_service::asio_service(const options& _opt, ptr<logger> _l)
    : impl_(std::make_shared<asio_service_impl>(_opt, std::move(_l))) {}

asio_service::~asio_service() = default;

void asio_service::schedule(ptr<delayed_task>& task, int32 milliseconds) {
    impl_->timers().schedule(task, milliseconds);
}

void asio_service::cancel_impl(ptr<delayed_task>& task) {
    impl_->timers().cancel(task);
}

ptr<rpc_client> asio_service::create_client(const std::string& endpoint) {
    const auto peer = transport::parse_endpoint(endpoint);
    if (!peer) {
        TRANSPORT_LOG(impl_->core()->log, error,
                      "\"" + endpoint + "\" is no endpoint; write host:port");
        return nullptr;
    }
    return std::make_shared<transport::client>(impl_->core(), *peer);
}

ptr<rpc_listener> asio_service::create_rpc_listener(ushort listening_port, ptr<logger>& l) {
    return transport::listener::open(impl_->core(), listening_port, l);
}

void asio_service::stop() {
    impl_->stop();
}

uint32_t asio_service::get_active_workers() {
    return impl_->active_workers();
}

}  // namespace nuraft
