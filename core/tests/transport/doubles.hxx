#pragma once

#include <functional>
#include <string>
#include <vector>

#include "asio_service.hxx"
#include "logger.hxx"
#include "rpc_cli.hxx"
#include "transport/listener.hxx"
#include "transport/request_sink.hxx"
#include "transport/waiting.hxx"

namespace nuraft {
namespace transport {

/// A sink that does what the test says, and remembers what it was told.
class fake_sink : public request_sink {
public:
    struct session_event {
        cb_func::Type type;
        cb_func::ConnectionArgs args;
    };
    struct held_request {
        ptr<req_msg> req;
        completion done;
    };
    using handler = std::function<void(ptr<req_msg>, completion)>;

    /// Answers at once unless told otherwise.
    fake_sink() : handler_([](ptr<req_msg> req, completion done) { done(echo(*req)); }) {}

    void on_request(handler h) {
        state.change([&] { handler_ = std::move(h); });
    }
    /// Keeps requests, unanswered, in `held`.
    void hold() {
        on_request([this](ptr<req_msg> req, completion done) {
            state.change([&] { held.push_back({std::move(req), std::move(done)}); });
        });
    }
    /// An answer that can be told from others: next_idx is the request's last_log_idx + 1.
    static ptr<resp_msg> echo(req_msg& req) {
        return cs_new<resp_msg>(req.get_term(), append_entries_response, req.get_dst(),
                                req.get_src(), req.get_last_log_idx() + 1, true);
    }

    void handle(ptr<req_msg> req, completion done) override {
        handler h = state.read([&] { return handler_; });
        h(std::move(req), std::move(done));
    }
    void on_session(cb_func::Type event, cb_func::ConnectionArgs& args) override {
        state.change([&] { events.push_back({event, args}); });
    }
    int32 leader_id() override { return leader; }

    size_t count(cb_func::Type type) const {
        return state.read([&] { return count_locked(type); });
    }
    testing::AssertionResult wait_for_event(cb_func::Type type, size_t times = 1) const {
        return state.wait("session event " + std::to_string(type),
                          [&] { return count_locked(type) >= times; });
    }
    testing::AssertionResult wait_for_held(size_t requests) const {
        return state.wait(std::to_string(requests) + " held requests",
                          [&] { return held.size() >= requests; });
    }

    watched state;
    std::vector<session_event> events;  // under `state`
    std::vector<held_request> held;     // under `state`
    std::atomic<int32> leader{-1};

private:
    size_t count_locked(cb_func::Type type) const {
        size_t n = 0;
        for (const session_event& e : events) n += e.type == type;
        return n;
    }

    handler handler_;  // under `state`
};

/// The outcomes of requests, in the order in which they came.
class outcomes {
public:
    struct outcome {
        ptr<resp_msg> resp;
        ptr<rpc_exception> error;
    };

    /// A handler that records its outcome.
    rpc_handler recorder() {
        return [this](ptr<resp_msg>& resp, ptr<rpc_exception>& error) {
            state.change([&] { all.push_back({resp, error}); });
        };
    }
    testing::AssertionResult wait_for(size_t number) const {
        return state.wait(std::to_string(number) + " outcomes",
                          [&] { return all.size() >= number; });
    }
    /// The error's text; empty if there is a response.
    std::string error(size_t i) const { return all[i].error ? all[i].error->what() : ""; }

    watched state;
    std::vector<outcome> all;  // under `state`
};

class memory_logger : public logger {
public:
    void put_details(int, const char*, const char*, size_t, const std::string& line) override {
        state.change([&] { text += line + "\n"; });
    }
    testing::AssertionResult wait_for(const std::string& part) const {
        return state.wait("log line with \"" + part + "\"",
                          [&] { return text.find(part) != std::string::npos; });
    }

    watched state;
    std::string text;  // under `state`
};

/// A heartbeat with a number in last_log_idx.
inline ptr<req_msg> heartbeat(ulong number) {
    return cs_new<req_msg>(1, append_entries_request, 1, 2, 1, number, 0);
}

/// A service, and a listener of it that delivers to a fake sink.
struct served {
    explicit served(const asio_service_options& options = asio_service_options())
        : log(cs_new<memory_logger>()),
          sink(std::make_shared<fake_sink>()),
          service(cs_new<asio_service>(with_two_threads(options), log)) {
        ptr<logger> l = log;
        door = service->create_rpc_listener(0, l);
        if (door) std::static_pointer_cast<listener>(door)->listen_to(sink);
    }
    ~served() {
        door->stop();
        door->shutdown();
        service->stop();
    }
    static asio_service_options with_two_threads(asio_service_options options) {
        options.thread_pool_size_ = 2;
        return options;
    }
    uint16_t port() const { return bound_port(door); }
    std::string endpoint() const { return "127.0.0.1:" + std::to_string(port()); }

    ptr<memory_logger> log;
    std::shared_ptr<fake_sink> sink;
    ptr<asio_service> service;
    ptr<rpc_listener> door;
};

}  // namespace transport
}  // namespace nuraft
