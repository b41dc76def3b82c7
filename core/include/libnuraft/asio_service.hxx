#pragma once

#include <cstdint>
#include <string>

#include "asio_service_options.hxx"
#include "basic_types.hxx"
#include "delayed_task_scheduler.hxx"
#include "logger.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "rpc_cli_factory.hxx"
#include "rpc_listener.hxx"

namespace nuraft {

class asio_service_impl;

/// Timers and connections on worker threads of its own. Several servers may share one, each with a
/// listener of its own; it must outlive them. Thread-safe but for `stop`.
class asio_service : public delayed_task_scheduler, public rpc_client_factory {
public:
    using meta_cb_params = asio_service_meta_cb_params;
    using options = asio_service_options;

    /// Starts the workers, unless an external context is given.
    asio_service(const options& _opt = options(), ptr<logger> _l = nullptr);
    ~asio_service();

    __nocopy__(asio_service);

public:
    virtual void schedule(ptr<delayed_task>& task, int32 milliseconds) override;

    /// `host:port` or `scheme://host:port`; null if it is neither. A port that is no number throws
    /// as `std::stoi` does. Connects when it first sends.
    virtual ptr<rpc_client> create_client(const std::string& endpoint) override;

    /// Binds all IPv4 addresses at once; connections are accepted after `listen`. Null: failed.
    ptr<rpc_listener> create_rpc_listener(ushort listening_port, ptr<logger>& l);

    /// Stops and joins the workers. Once, not from a worker; nothing to do with an external
    /// context.
    void stop();

    /// 0 after `stop`, and with an external context.
    uint32_t get_active_workers();

private:
    virtual void cancel_impl(ptr<delayed_task>& task) override;

    ptr<asio_service_impl> impl_;
};

}  // namespace nuraft
