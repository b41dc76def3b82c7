#pragma once

#include <memory>
#include <string>

#include "rpc_cli.hxx"
#include "transport/client_connection.hxx"

namespace nuraft {
namespace transport {

/// The client that the server holds: a handle on one connection, which it ends when it is dropped.
/// Requests that are pending then complete with an exception.
class client : public rpc_client {
public:
    client(std::shared_ptr<service_core> core, const endpoint_name& peer);
    ~client() override;

    void send(ptr<req_msg>& req, rpc_handler& when_done, uint64_t send_timeout_ms = 0) override;
    uint64_t get_id() const override { return id_; }
    bool is_abandoned() const override { return connection_->is_abandoned(); }

private:
    const uint64_t id_;
    const std::shared_ptr<client_connection> connection_;
};

}  // namespace transport
}  // namespace nuraft
