#pragma once

#include <functional>

#include "callback.hxx"
#include "req_msg.hxx"
#include "resp_msg.hxx"

namespace nuraft {
namespace transport {

/// Where sessions deliver requests. Thread-safe: sessions of one listener call it concurrently.
class request_sink {
public:
    /// The answer to a request, or null to give none and close the connection. Called exactly once,
    /// from any thread, perhaps before `handle` returns.
    using completion = std::function<void(ptr<resp_msg>)>;

    virtual ~request_sink() = default;

    /// Requests of one connection come in their order, also while earlier ones are unanswered.
    virtual void handle(ptr<req_msg> req, completion done) = 0;
    /// `ConnectionOpened`, `NewSessionFromLeader` or `ConnectionClosed`.
    virtual void on_session(cb_func::Type event, cb_func::ConnectionArgs& args) = 0;
    /// The leader as known at this moment; -1 if none.
    virtual int32 leader_id() = 0;
};

}  // namespace transport
}  // namespace nuraft
