#pragma once

#include "raft_server.hxx"
#include "transport/request_sink.hxx"

namespace nuraft {

/// The transport's way into the server's request entry, which is private to it.
class asio_listener_access {
public:
    static void process(raft_server& server, ptr<req_msg> req,
                        std::function<void(ptr<resp_msg>)> done) {
        server.process_req_async(std::move(req), std::move(done));
    }
};

namespace transport {

/// Delivers to a server, which it keeps alive.
class raft_server_sink : public request_sink {
public:
    explicit raft_server_sink(ptr<raft_server> server) : server_(std::move(server)) {}

    void handle(ptr<req_msg> req, completion done) override {
        asio_listener_access::process(*server_, std::move(req), std::move(done));
    }
    void on_session(cb_func::Type event, cb_func::ConnectionArgs& args) override {
        cb_func::Param param(server_->get_id(), server_->get_leader(), -1, &args);
        server_->invoke_callback(event, &param);
    }
    int32 leader_id() override { return server_->get_leader(); }

private:
    const ptr<raft_server> server_;
};

}  // namespace transport
}  // namespace nuraft
