#include "launcher.hxx"

#include <chrono>
#include <limits>
#include <memory>
#include <thread>

#include "context.hxx"

namespace nuraft {

ptr<raft_server> raft_launcher::init(ptr<state_machine> sm, ptr<state_mgr> smgr, ptr<logger> lg,
                                     int port_number, const asio_service::options& asio_options,
                                     const raft_params& params,
                                     const raft_server::init_options& opt) {
    if (port_number < 0 || port_number > std::numeric_limits<ushort>::max()) return nullptr;
    auto service = cs_new<asio_service>(asio_options, lg);
    ptr<rpc_listener> listener = service->create_rpc_listener(static_cast<ushort>(port_number), lg);
    if (!listener) return nullptr;

    ptr<delayed_task_scheduler> scheduler = service;
    ptr<rpc_client_factory> client_factory = service;
    auto parts =
        std::make_unique<context>(smgr, sm, listener, lg, client_factory, scheduler, params);
    // The server's constructor takes the context over.
    auto server = cs_new<raft_server>(parts.release(), opt);
    listener->listen(server);

    asio_svc_ = service;
    asio_listener_ = listener;
    raft_instance_ = server;
    return raft_instance_;
}

bool raft_launcher::shutdown(size_t time_limit_sec) {
    if (!raft_instance_) return false;
    raft_instance_->shutdown();
    raft_instance_.reset();
    if (asio_listener_) {
        asio_listener_->stop();
        asio_listener_->shutdown();
    }
    asio_svc_->stop();
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(time_limit_sec);
    while (asio_svc_->get_active_workers() > 0 && std::chrono::steady_clock::now() < limit)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return asio_svc_->get_active_workers() == 0;
}

}  // namespace nuraft
