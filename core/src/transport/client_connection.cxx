#include "transport/client_connection.hxx"

#include <asio/connect.hpp>
#include <chrono>
#include <functional>
#include <type_traits>

#include "transport/metadata_hooks.hxx"
#include "transport/request_codec.hxx"

namespace nuraft {
namespace transport {

using asio::ip::tcp;

template <typename F>
void client_connection::attempt(F&& step) {
    try {
        step();
    } catch (const std::exception& e) {
        abandon(std::string("a step failed: ") + e.what());
    }
}

template <typename F>
void client_connection::post(F&& step) {
    std::lock_guard<std::mutex> guard(lock_);
    if (!link_) return;
    asio::post(link_->executor(),
               [self = shared_from_this(), link = link_, step = std::forward<F>(step)] {
                   self->attempt([&] { step(*self, link); });
               });
}

template <typename F>
auto client_connection::then(const stream_ptr& link, const char* what, F&& step) {
    return [self = shared_from_this(), link, what, step = std::forward<F>(step)](
               const asio::error_code& ec, auto&& result) {
        if (self->abandoned_) return;
        if (ec) return self->abandon(std::string(what) + ": " + ec.message());
        self->attempt([&] {
            if constexpr (std::is_invocable_v<decltype(step), client_connection&,
                                              const stream_ptr&>)
                std::invoke(step, *self, link);
            else
                std::invoke(step, *self, link, result);
        });
    };
}

std::shared_ptr<client_connection> client_connection::make(std::shared_ptr<service_core> core,
                                                           const endpoint_name& peer) {
    std::shared_ptr<client_connection> made(new client_connection(std::move(core), peer));
    if (!made->core_->add(made)) {
        made->abandoned_ = true;
        made->link_.reset();
    }
    return made;
}

client_connection::client_connection(std::shared_ptr<service_core> core, const endpoint_name& peer)
    : core_(std::move(core)),
      peer_(peer),
      link_(std::make_shared<stream>(core_->context(), core_->tls.client.get())) {}

client_connection::~client_connection() {
    core_->remove(this);
}

void client_connection::send(const ptr<req_msg>& req, const rpc_handler& when_done,
                             uint64_t timeout_ms) {
    auto request = std::make_shared<pending_request>(req, when_done, timeout_ms, core_->log);
    std::string refusal;
    stream_ptr link;
    {
        std::lock_guard<std::mutex> guard(lock_);
        if (!link_)
            refusal = "the connection to " + name() + " is abandoned";
        else if (queue_.size() >= max_pending)
            refusal =
                "too many requests to " + name() + " are pending: " + std::to_string(queue_.size());
        else
            queue_.push_back(request);
        link = link_;
    }
    if (refusal.empty()) return start(link, request);
    auto refuse = [request, refusal] { request->fail(refusal); };
    if (!core_->post(refuse)) refuse();
}

/// Writes the request at once if that is possible without dialling and without another thread.
void client_connection::start(const stream_ptr& link, const pending_ptr& request) {
    bool started = false;
    const auto now = [&] {
        if (stage_ != stage::ready) return;
        started = true;
        try {
            enqueued(link, request);
        } catch (const std::exception& e) {
            abandon_later(std::string("a request could not be sent: ") + e.what());
        }
    };
    if (link->executor().try_run_here(now) && started) return;
    post([request](client_connection& self, const stream_ptr& l) { self.enqueued(l, request); });
}

void client_connection::close() {
    abandon_later("it was closed");
}

void client_connection::abandon_later(const std::string& reason) {
    post([reason](client_connection& self, const stream_ptr&) { self.abandon(reason); });
}

void client_connection::enqueued(const stream_ptr& link, const pending_ptr& request) {
    if (abandoned_) return;
    if (request->limit_ms > 0) {
        request->timer = std::make_unique<asio::steady_timer>(link->executor(), request->deadline);
        request->timer->async_wait([self = weak_from_this(),
                                    waiting = std::weak_ptr<pending_request>(request)](
                                       const asio::error_code&) {
            auto connection = self.lock();
            auto late = waiting.lock();
            if (connection && late && !late->completed())
                connection->abandon("no answer within " + std::to_string(late->limit_ms) + " ms");
        });
    }
    if (stage_ == stage::idle)
        dial(link);
    else
        write_on(link);
}

void client_connection::dial(const stream_ptr& link) {
    stage_ = stage::naming;
    link->timer().expires_after(std::chrono::milliseconds(dial_limit_ms));
    link->timer().async_wait([self = shared_from_this(), link](const asio::error_code& ec) {
        if (!ec && self->stage_ != stage::ready)
            self->abandon("no connection within " + std::to_string(dial_limit_ms) + " ms");
    });
    if (core_->options.custom_resolver_)
        ask_resolver_hook();
    else
        resolve(link, peer_);
}

void client_connection::ask_resolver_hook() {
    // The hook may answer from any thread, late, or never: it must not keep the connection alive.
    auto answer = [weak = weak_from_this()](const std::string& host, const std::string& port,
                                            std::error_code ec) {
        if (auto connection = weak.lock())
            connection->post([host, port, ec](client_connection& self, const stream_ptr& link) {
                if (ec) return self.abandon("the custom resolver failed: " + ec.message());
                self.resolve(link, endpoint_name{host, port});
            });
    };
    if (!guarded(core_->log, "custom_resolver_",
                 [&] { core_->options.custom_resolver_(peer_.host, peer_.port, answer); }))
        abandon("the custom resolver threw");
}

void client_connection::resolve(const stream_ptr& link, const endpoint_name& where) {
    if (abandoned_ || stage_ != stage::naming) return;
    stage_ = stage::connecting;
    auto resolver = std::make_shared<tcp::resolver>(link->executor());
    auto go_on = [resolver](client_connection& self, const stream_ptr& l,
                            const tcp::resolver::results_type& found) { self.resolved(l, found); };
    resolver->async_resolve(where.host, where.port, then(link, "cannot resolve the name", go_on));
}

void client_connection::resolved(const stream_ptr& link, const tcp::resolver::results_type& where) {
    asio::async_connect(link->socket(), where,
                        then(link, "cannot connect", &client_connection::connected));
}

void client_connection::connected(const stream_ptr& link) {
    link->opened();
    if (!link->is_tls()) return ready(link);
    auto check = [core = core_](bool chain_verified, tls_verification& certificate) {
        bool accepted = false;
        guarded(core->log, "verify_sn_",
                [&] { accepted = accept_certificate(core->options, chain_verified, certificate); });
        return accepted;
    };
    auto go_on = then(link, "the TLS handshake failed", &client_connection::ready);
    link->async_connect_tls(!core_->options.skip_verification_, check,
                            [go_on](const asio::error_code& ec) { go_on(ec, 0); });
}

void client_connection::ready(const stream_ptr& link) {
    stage_ = stage::ready;
    link->timer().cancel();
    // Always reading, so that a peer that goes away is noticed at once.
    read_on(link);
    write_on(link);
}

void client_connection::write_on(const stream_ptr& link) {
    while (!abandoned_ && stage_ == stage::ready && !writing_) {
        std::vector<pending_ptr> requests;
        {
            std::lock_guard<std::mutex> guard(lock_);
            const size_t window = core_->options.streaming_mode_ ? max_pending : 1;
            for (size_t i = written_; i < std::min(window, queue_.size()); ++i)
                requests.push_back(queue_[i]);
        }
        if (requests.empty()) return;
        writing_ = true;  // From here on, as a hook may come back with another request.
        for (const pending_ptr& request : requests) {
            if (!encode(request)) return;
        }
        written_ += requests.size();
        for (const pending_ptr& request : requests) request->leaves();
        std::vector<asio::const_buffer> bytes;
        for (const ptr<buffer>& f : frames_) bytes.emplace_back(f->data_begin(), f->size());
        if (!link->write_now(bytes))
            return link->async_write(bytes,
                                     then(link, "cannot write", &client_connection::written));
        frames_.clear();
        writing_ = false;
    }
}

/// False: the connection is to end, later, because this may be within `send`.
bool client_connection::encode(const pending_ptr& request) {
    req_msg& req = request->request();
    const asio_service_options& options = core_->options;
    std::string metadata;
    if (!make_metadata(options.write_req_meta_, req, nullptr, core_->log, metadata))
        return abandon_later("the metadata of a request could not be made"), false;
    const request_format format{options.replicate_log_timestamp_, options.crc_on_entire_message_,
                                options.crc_on_payload_};
    ptr<buffer> frame;
    const verdict v = encode_request(req, metadata, format, frame);
    if (!v.ok()) return abandon_later(v.reason), false;
    frames_.push_back(std::move(frame));
    return true;
}

void client_connection::written(const stream_ptr& link) {
    writing_ = false;
    frames_.clear();
    write_on(link);
}

void client_connection::read_on(const stream_ptr& link) {
    while (link->read_now(wanted_)) {
        if (!take_part(link)) return;
    }
    link->async_read(wanted_, then(link, "cannot read", &client_connection::part_read));
}

void client_connection::part_read(const stream_ptr& link) {
    if (take_part(link)) read_on(link);
}

/// `wanted_` is filled: says what comes next. False: nothing, the connection ended.
bool client_connection::take_part(const stream_ptr& link) {
    if (!in_body_) {
        if (written_ == 0) return abandon("an answer came that nobody asked for"), false;
        const verdict v = parse_response_header(header_bytes_.data(), header_);
        if (!v.ok()) return refuse_frame(v), false;
        body_.start(header_.body_size);
        in_body_ = true;
    }
    if (!body_.complete()) {
        const frame_body::piece piece = body_.next_piece();
        wanted_ = asio::buffer(piece.data, piece.size);
        return true;
    }
    in_body_ = false;
    wanted_ = asio::buffer(header_bytes_);
    return take_answer(link);
}

bool client_connection::take_answer(const stream_ptr& link) {
    decoded_response answer;
    const verdict v = decode_response(header_, body_.data(), body_.size(), answer);
    if (!v.ok()) return refuse_frame(v), false;
    pending_ptr first;
    {
        std::lock_guard<std::mutex> guard(lock_);
        first = queue_.front();
    }
    const asio_service_options& options = core_->options;
    if (!accept_metadata(options.read_resp_meta_, options.invoke_resp_cb_on_empty_meta_,
                         first->request(), answer.msg.get(), core_->log, answer.metadata))
        return abandon("the metadata of an answer was refused"), false;
    {
        std::lock_guard<std::mutex> guard(lock_);
        queue_.pop_front();
    }
    --written_;
    first->respond(answer.msg);
    write_on(link);
    return !abandoned_;
}

void client_connection::refuse_frame(const verdict& v) {
    TRANSPORT_LOG(core_->log, warning, "bad answer from " + name() + ": " + v.reason);
    abandon(v.reason);
}

void client_connection::abandon(const std::string& reason) {
    if (abandoned_.exchange(true)) return;
    stream_ptr link;
    std::deque<pending_ptr> unanswered;
    {
        std::lock_guard<std::mutex> guard(lock_);
        link.swap(link_);
        unanswered.swap(queue_);
    }
    link->close();
    TRANSPORT_LOG(core_->log, debug,
                  "connection to " + name() + " ended: " + reason +
                      "; pending requests: " + std::to_string(unanswered.size()));
    const std::string text = name() + ": " + reason;
    // Oldest first, and each is let go of before the next one hears of it.
    for (; !unanswered.empty(); unanswered.pop_front()) unanswered.front()->fail(text);
}

}  // namespace transport
}  // namespace nuraft
