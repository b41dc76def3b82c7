#include "transport/session.hxx"

#include <chrono>
#include <utility>
#include <vector>

#include "transport/answer_once.hxx"
#include "transport/byte_cursor.hxx"
#include "transport/metadata_hooks.hxx"
#include "transport/response_codec.hxx"

namespace nuraft {
namespace transport {

using asio::ip::tcp;

namespace {

ptr<buffer> copy_of(const byte* bytes, size_t size) {
    ptr<buffer> copy = buffer::alloc(size);
    byte_writer(copy->data_begin()).put_bytes(bytes, size);
    return copy;
}

}  // namespace

template <typename F>
void session::attempt(F&& step) {
    try {
        step();
    } catch (const std::exception& e) {
        finish(std::string("a step failed: ") + e.what());
    }
}

template <typename F>
void session::dispatch(F&& step) {
    stream_ptr link;
    {
        std::lock_guard<std::mutex> guard(lock_);
        link = link_;
    }
    if (!link) return;
    const auto here = [&] { attempt([&] { step(*this, link); }); };
    if (!link->executor().try_run_here(here)) post(std::forward<F>(step));
}

template <typename F>
void session::post(F&& step) {
    std::lock_guard<std::mutex> guard(lock_);
    if (!link_) return;
    asio::post(link_->executor(),
               [self = shared_from_this(), link = link_, step = std::forward<F>(step)] {
                   self->attempt([&] { step(*self, link); });
               });
}

auto session::then(const stream_ptr& link, void (session::*step)(const stream_ptr&),
                   void (session::*failed)(const stream_ptr&, const std::string&)) {
    return [self = shared_from_this(), link, step, failed](const asio::error_code& ec, size_t = 0) {
        if (self->over_) return;
        self->attempt([&] {
            if (ec)
                ((*self).*failed)(link, ec.message());
            else
                ((*self).*step)(link);
        });
    };
}

session::session(std::shared_ptr<service_core> core, std::shared_ptr<door_policy> policy,
                 std::shared_ptr<request_sink> sink, ptr<logger> log,
                 std::function<void(uint64_t)> ended)
    : core_(std::move(core)),
      policy_(std::move(policy)),
      log_(std::move(log)),
      ended_(std::move(ended)),
      id_(core_->next_session_id()),
      link_(std::make_shared<stream>(core_->context(), core_->tls.server.get())),
      sink_(std::move(sink)),
      peer_(id_) {}

void session::start() {
    post([](session& self, const stream_ptr& link) { self.open(link); });
}

void session::close(const std::string& reason) {
    post([reason](session& self, const stream_ptr&) { self.finish(reason); });
}

void session::open(const stream_ptr& link) {
    if (over_) return;
    asio::error_code ec;
    const tcp::endpoint peer = link->socket().remote_endpoint(ec);
    if (ec) return finish("it was gone before it was served: " + ec.message());
    peer_.address = peer.address().to_string();
    peer_.port = peer.port();
    link->opened();
    link->end_without_peer();
    if (!link->is_tls()) return read_on(link);

    link->timer().expires_after(std::chrono::milliseconds(handshake_limit_ms));
    link->timer().async_wait([self = shared_from_this(), link](const asio::error_code& error) {
        if (!error) self->finish("no TLS handshake in time");
    });
    link->async_accept_tls(then(link, &session::secured, &session::handshake_failed));
}

void session::secured(const stream_ptr& link) {
    link->timer().cancel();
    read_on(link);
}

void session::handshake_failed(const stream_ptr& link, const std::string& reason) {
    // The alert that tells the peer what is wrong shall reach it before the connection goes.
    link->timer().expires_after(std::chrono::milliseconds(failed_handshake_linger_ms));
    link->timer().async_wait([self = shared_from_this(), link, reason](const asio::error_code&) {
        self->finish("TLS handshake failed: " + reason);
    });
}

void session::read_on(const stream_ptr& link) {
    if (over_ || reading_ || !answers_.has_room()) return;
    reading_ = true;
    if (link->read_now(wanted_))
        part_read(link);
    else
        await_part(link);
}

void session::await_part(const stream_ptr& link) {
    if (in_body_) watch_for_stall(link);
    link->async_read(wanted_, then(link, &session::part_read, &session::end_after_answers));
}

void session::part_read(const stream_ptr& link) {
    while (take_part(link)) {
        if (!link->read_now(wanted_)) return await_part(link);
    }
    reading_ = false;
}

/// `wanted_` is filled: says what comes next. False: nothing, for now or for good.
bool session::take_part(const stream_ptr& link) {
    if (!in_body_ && !begin_frame(link)) return false;
    if (!body_.complete()) {
        if (!has_memory_for_next_piece(link)) return false;
        const frame_body::piece piece = body_.next_piece();
        wanted_ = asio::buffer(piece.data, piece.size);
        return true;
    }
    in_body_ = false;
    wanted_ = asio::buffer(header_bytes_);
    return take_request(link) && !over_ && answers_.has_room();
}

bool session::begin_frame(const stream_ptr& link) {
    const verdict v = parse_request_header(header_bytes_.data(), header_);
    if (!v.ok()) return refuse_frame(link, v), false;
    body_.start(header_.body_size);
    share_ = frame_share(last_request_ > 0 ? policy_->members : policy_->strangers);
    in_body_ = true;
    return true;
}

/// So much that a small frame is never refused because others send large ones; more of it only
/// within what all sessions share.
bool session::has_memory_for_next_piece(const stream_ptr& link) {
    const size_t memory = body_.memory_with_next_piece();
    if (memory <= frame_body::first_piece_size || share_.grow_to(memory)) return true;
    const std::string reason = "no memory for " + std::to_string(memory) + " bytes of a frame of " +
                               std::to_string(header_.body_size);
    TRANSPORT_LOG(log_, warning,
                  reason + " from " + peer_.address + ":" + std::to_string(peer_.port) +
                      ": other connections have taken it");
    drop_frame();
    end_after_answers(link, reason);
    return false;
}

void session::drop_frame() {
    body_.release();
    share_ = frame_share();
}

/// Looks again when the time for the piece asked for now is over, with one timer for all pieces:
/// most arrive at once, and setting a timer for each would cost more than reading it.
void session::watch_for_stall(const stream_ptr& link) {
    stall_deadline_ =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(policy_->limits.stall_ms);
    if (!watching_) look_for_stall(link);
}

void session::look_for_stall(const stream_ptr& link) {
    watching_ = in_body_;
    if (!in_body_) return;
    if (std::chrono::steady_clock::now() >= stall_deadline_)
        return finish("a frame was not continued within " +
                      std::to_string(policy_->limits.stall_ms) + " ms");
    link->timer().expires_at(stall_deadline_);
    link->timer().async_wait(then(link, &session::look_for_stall, &session::end_now));
}

bool session::take_request(const stream_ptr& link) {
    decoded_request request;
    const verdict v = decode_request(header_, body_.data(), body_.size(), request);
    if (!v.ok()) return refuse_frame(link, v), false;
    const asio_service_options& options = core_->options;
    if (!accept_metadata(options.read_req_meta_, options.invoke_req_cb_on_empty_meta_, *request.msg,
                         nullptr, log_, request.metadata))
        return end_after_answers(link, "the metadata of a request was refused"), false;
    last_request_ = policy_->next_request();
    drop_frame();
    frame_share held(policy_->members);
    if (!held.grow_to(header_.body_size))
        return end_after_answers(link, "no memory for one more request"), false;
    submit(request.msg, std::move(held));
    return true;
}

void session::submit(const ptr<req_msg>& req, frame_share held) {
    const uint64_t number = answers_.add(req, header_.body_size, std::move(held));
    announce(*req);
    auto done = answer_once([weak = weak_from_this(), number](ptr<resp_msg> resp) {
        if (std::shared_ptr<session> self = weak.lock())
            self->dispatch([number, resp](session& s, const stream_ptr& link) {
                s.answer(link, number, resp);
            });
    });
    // An answer that comes at once may end the session, and so its hold on the sink.
    const std::shared_ptr<request_sink> sink = sink_;
    guarded(log_, "request handling", [&] { sink->handle(req, std::move(done)); });
}

void session::announce(const req_msg& req) {
    peer_.srvId = req.get_src();
    if (!opened_) fire(cb_func::ConnectionOpened);
    opened_ = true;
    if (leader_.begins_session(req.get_type(), req.get_src(), sink_->leader_id())) {
        peer_.isLeader = true;
        fire(cb_func::NewSessionFromLeader);
    }
    peer_.isLeader = leader_.speaks_as_leader();
}

void session::fire(cb_func::Type event) {
    cb_func::ConnectionArgs args = peer_;
    guarded(log_, "a session event", [&] { sink_->on_session(event, args); });
}

void session::answer(const stream_ptr& link, uint64_t number, const ptr<resp_msg>& resp) {
    if (over_) return;
    ptr<buffer> frame;
    const verdict v = resp ? encode_answer(answers_.request(number), *resp, frame) : verdict();
    if (frame)
        answers_.set_answer(number, std::move(frame));
    else
        answers_.set_end(number, resp ? v.reason : "a request is not to be answered");
    flush(link);
}

verdict session::encode_answer(req_msg& req, resp_msg& resp, ptr<buffer>& frame) const {
    std::string metadata;
    if (!make_metadata(core_->options.write_resp_meta_, req, &resp, log_, metadata))
        return {fault::metadata, "the metadata of an answer could not be made"};
    return encode_response(resp, req.get_type(), metadata, frame);
}

void session::flush(const stream_ptr& link) {
    if (over_ || writing_) return;
    frames_ = answers_.take_ready();
    std::vector<asio::const_buffer> bytes;
    for (const ptr<buffer>& frame : frames_) bytes.emplace_back(frame->data_begin(), frame->size());
    if (!bytes.empty() && !link->write_now(bytes)) {
        writing_ = true;
        link->async_write(bytes, then(link, &session::written, &session::end_now));
        return read_on(link);
    }
    frames_.clear();
    if (const std::string* reason = answers_.end_reason()) return finish(std::string(*reason));
    read_on(link);
}

void session::written(const stream_ptr& link) {
    writing_ = false;
    flush(link);
}

void session::refuse_frame(const stream_ptr& link, const verdict& v) {
    bool with_header = false;
    bool with_body = false;
    switch (v.what) {
        case fault::header_crc:
        case fault::marker:
        case fault::type:
        case fault::body_size:
        case fault::flags:
            with_header = true;
            break;
        case fault::message_crc:
        case fault::entry_header:
        case fault::entry_length:
        case fault::entry_crc:
            with_header = with_body = true;
            break;
        default:
            break;
    }
    const auto& handler = core_->options.corrupted_msg_handler_;
    if (handler && with_header)
        guarded(log_, "corrupted_msg_handler_", [&] {
            handler(copy_of(header_bytes_.data(), header_bytes_.size()),
                    with_body ? copy_of(body_.data(), body_.size()) : nullptr);
        });
    TRANSPORT_LOG(
        log_, warning,
        "bad request from " + peer_.address + ":" + std::to_string(peer_.port) + ": " + v.reason);
    drop_frame();
    end_after_answers(link, v.reason);
}

void session::end_after_answers(const stream_ptr& link, const std::string& reason) {
    answers_.end_after_all(reason);
    flush(link);
}

void session::finish(const std::string& reason) {
    if (over_) return;
    over_ = true;
    stream_ptr link;
    {
        std::lock_guard<std::mutex> guard(lock_);
        link.swap(link_);
    }
    link->close();
    TRANSPORT_LOG(log_, info,
                  "session " + std::to_string(id_) + " with " + peer_.address + ":" +
                      std::to_string(peer_.port) + " ended: " + reason);
    fire(cb_func::ConnectionClosed);
    sink_.reset();
    ended_(id_);
}

}  // namespace transport
}  // namespace nuraft
