#include "transport/listener.hxx"

#include <algorithm>
#include <chrono>
#include <utility>

#include "transport/raft_server_sink.hxx"

namespace nuraft {
namespace transport {

std::shared_ptr<listener> listener::open(std::shared_ptr<service_core> core, uint16_t port,
                                         ptr<logger> log, const door_limits& limits) {
    std::shared_ptr<listener> made(new listener(std::move(core), std::move(log), limits));
    if (!made->bind(port)) return nullptr;
    if (made->core_->add(made)) return made;
    made->stop();
    return nullptr;
}

listener::listener(std::shared_ptr<service_core> core, ptr<logger> log, const door_limits& limits)
    : core_(std::move(core)),
      policy_(std::make_shared<door_policy>(limits)),
      log_(std::move(log)),
      acceptor_(std::make_unique<tcp::acceptor>(core_->context())),
      retry_timer_(std::make_unique<asio::steady_timer>(core_->context())) {}

listener::~listener() {
    core_->remove(this);
    close();
}

bool listener::bind(uint16_t port) {
    const tcp::endpoint everywhere(tcp::v4(), port);
    asio::error_code ec;
    acceptor_->open(everywhere.protocol(), ec);
    if (!ec) acceptor_->set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_->bind(everywhere, ec);
    if (!ec) acceptor_->listen(asio::socket_base::max_listen_connections, ec);
    if (!ec) port_ = acceptor_->local_endpoint(ec).port();
    if (ec)
        TRANSPORT_LOG(log_, error,
                      "cannot listen on port " + std::to_string(port) + ": " + ec.message());
    return !ec;
}

void listener::listen(ptr<msg_handler>& handler) {
    listen_to(std::make_shared<raft_server_sink>(handler));
}

void listener::listen_to(std::shared_ptr<request_sink> sink) {
    std::lock_guard<std::mutex> guard(lock_);
    if (sink_ || !acceptor_) return;
    sink_ = std::move(sink);
    accept_next();
}

void listener::accept_next() {
    if (!acceptor_ || !sink_) return;
    std::weak_ptr<listener> weak = weak_from_this();
    auto next = std::make_shared<session>(core_, policy_, sink_, log_, [weak](uint64_t id) {
        if (std::shared_ptr<listener> self = weak.lock()) self->session_ended(id);
    });
    acceptor_->async_accept(next->socket(), [weak, next](const asio::error_code& ec) {
        if (std::shared_ptr<listener> self = weak.lock()) self->accepted(next, ec);
    });
}

void listener::accepted(const std::shared_ptr<session>& s, const asio::error_code& ec) {
    std::lock_guard<std::mutex> guard(lock_);
    if (!acceptor_ || !sink_) return;
    if (ec) {
        TRANSPORT_LOG(log_, warning, "cannot accept a connection: " + ec.message());
        retry_timer_->expires_after(std::chrono::milliseconds(accept_retry_ms));
        retry_timer_->async_wait([weak = weak_from_this()](const asio::error_code&) {
            std::shared_ptr<listener> self = weak.lock();
            if (!self) return;
            std::lock_guard<std::mutex> guard(self->lock_);
            self->accept_next();
        });
        return;
    }
    if (sessions_.size() >= policy_->limits.sessions_max) make_place();
    sessions_.emplace(s->id(), s);
    s->start();
    accept_next();
}

void listener::make_place() {
    const auto rank = [](const auto& entry) {
        return std::make_pair(entry.second->last_request(), entry.first);
    };
    const auto least = std::min_element(
        sessions_.begin(), sessions_.end(),
        [&](const auto& left, const auto& right) { return rank(left) < rank(right); });
    if (least == sessions_.end()) return;
    least->second->close("it gave way to a new connection");
    sessions_.erase(least);
}

void listener::session_ended(uint64_t id) {
    std::lock_guard<std::mutex> guard(lock_);
    sessions_.erase(id);
}

void listener::stop() {
    std::lock_guard<std::mutex> guard(lock_);
    acceptor_.reset();
    retry_timer_.reset();
}

void listener::shutdown() {
    std::shared_ptr<request_sink> sink;
    std::unordered_map<uint64_t, std::shared_ptr<session>> sessions;
    {
        std::lock_guard<std::mutex> guard(lock_);
        sink.swap(sink_);
        sessions.swap(sessions_);
    }
    for (auto& entry : sessions) entry.second->close("the listener was shut down");
}

void listener::close() {
    stop();
    shutdown();
}

uint16_t bound_port(const ptr<rpc_listener>& l) {
    const auto* known = dynamic_cast<const listener*>(l.get());
    return known ? known->port() : 0;
}

}  // namespace transport
}  // namespace nuraft
