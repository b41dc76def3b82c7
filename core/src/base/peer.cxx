#include "peer.hxx"

#include <algorithm>

#include "debugging_options.hxx"
#include "resp_msg.hxx"
#include "rpc_exception.hxx"

namespace nuraft {

namespace {

constexpr size_t reconnection_delay_ms = 3000;

}  // namespace

peer::peer(ptr<srv_config>& config, const context& ctx, timer_task<int32>::executor& hb_exec,
           ptr<logger>& logger)
    : config_(config),
      scheduler_(ctx.scheduler_),
      params_(ctx.get_params()),
      log_(logger),
      hb_task_(
          cs_new<timer_task<int32>>(hb_exec, config->get_id(), timer_task_type::heartbeat_timer)),
      hb_interval_(params_->heart_beat_interval_),
      current_hb_interval_(params_->heart_beat_interval_) {
    if (ctx.rpc_cli_factory_) client_ = ctx.rpc_cli_factory_->create_client(config->get_endpoint());
}

void peer::enable_hb(bool enable) {
    if (abandoned_) return;
    hb_enabled_ = enable;
    if (enable) return;
    if (scheduler_) {
        scheduler_->cancel(hb_task_);
    } else {
        hb_task_->cancel();
    }
}

void peer::slow_down_hb() {
    current_hb_interval_ =
        std::min(params_->max_hb_interval(), current_hb_interval_ + params_->rpc_failure_backoff_);
}

void peer::set_hb_interval(int32 new_interval) {
    hb_interval_ = new_interval;
    current_hb_interval_ = new_interval;
}

void peer::try_set_free(msg_type type, bool streaming) {
    if (type == msg_type::append_entries_request && streaming) return;
    set_free();
}

void peer::set_snapshot_in_sync(const ptr<snapshot>& s, ulong timeout_ms) {
    ptr<snapshot_sync_ctx> begun;
    if (s) begun = cs_new<snapshot_sync_ctx>(s, get_id(), timeout_ms);
    std::lock_guard<std::mutex> guard(parts_lock_);
    transfer_ = begun;
}

ptr<snapshot_sync_ctx> peer::get_snapshot_sync_ctx() const {
    std::lock_guard<std::mutex> guard(parts_lock_);
    return transfer_;
}

void peer::send_req(ptr<peer> myself, ptr<req_msg>& req, rpc_handler& handler, bool streaming) {
    if (abandoned_) return;
    ptr<rpc_client> client;
    {
        std::lock_guard<std::mutex> guard(parts_lock_);
        client = client_;
    }
    if (!client) {
        try_set_free(req->get_type(), streaming);
        ptr<resp_msg> none;
        auto error =
            cs_new<rpc_exception>("no connection to server " + std::to_string(get_id()), req);
        handler(none, error);
        return;
    }
    rpc_handler when_done = [this, myself, id = client->get_id(), req, handler, streaming](
                                ptr<resp_msg>& resp, ptr<rpc_exception>& error) {
        on_answer(id, myself, req, handler, streaming, resp, error);
    };
    reset_ls_timer();
    client->send(req, when_done);
}

void peer::on_answer(uint64_t client, const ptr<peer>& myself, const ptr<req_msg>& req,
                     const rpc_handler& handler, bool streaming, ptr<resp_msg>& resp,
                     ptr<rpc_exception>& error) {
    if (abandoned_) return;
    ptr<rpc_client> dropped;  // Dropping a client may complete its requests inline.
    {
        std::lock_guard<std::mutex> guard(parts_lock_);
        if (!client_ || client_->get_id() != client) {
            inc_stale_rpc_responses();
            return;
        }
        if (resp) {
            dial_timer_.set_duration_us(0);
        } else {
            dropped.swap(client_);
        }
    }
    try_set_free(req->get_type(), streaming);
    if (resp) {
        reset_active_timer();
        reset_resp_timer();
        resp->set_peer(myself);
    }
    handler(resp, error);
}

bool peer::recreate_rpc(ptr<srv_config>& config, context& ctx) {
    if (abandoned_) return false;
    const ptr<rpc_client_factory> factory = ctx.rpc_cli_factory_;
    if (!factory) return false;
    {
        std::lock_guard<std::mutex> guard(parts_lock_);
        const bool at_once = debugging_options::get_instance().disable_reconn_backoff_;
        const size_t gap_us = dial_timer_.get_duration_us();
        if (!at_once && gap_us > 0 && !dial_timer_.timeout()) return false;
        const size_t heartbeat_us = static_cast<size_t>(params_->heart_beat_interval_) * 1000;
        dial_timer_.set_duration_us(std::min(std::max<size_t>(1000, gap_us * 2), heartbeat_us));
        dial_timer_.reset();
    }
    ptr<rpc_client> fresh = factory->create_client(config->get_endpoint());
    {
        std::lock_guard<std::mutex> guard(parts_lock_);
        client_.swap(fresh);  // The old one goes without the lock.
    }
    reset_active_timer();
    reset_stream();
    reset_bytes_in_flight();
    set_free();
    return true;
}

void peer::shutdown() {
    enable_hb(false);
    abandoned_ = true;
    ptr<rpc_client> dropped;
    std::lock_guard<std::mutex> guard(parts_lock_);
    dropped.swap(client_);
}

void peer::schedule_reconnection() {
    std::lock_guard<std::mutex> guard(parts_lock_);
    reconnection_timer_.set_duration_ms(reconnection_delay_ms);
    reconnection_timer_.reset();
    reconnection_scheduled_ = true;
}

bool peer::need_to_reconnect() {
    std::lock_guard<std::mutex> guard(parts_lock_);
    return !client_ || (reconnection_scheduled_ && reconnection_timer_.timeout());
}

void peer::set_rsv_msg(const ptr<req_msg>& m, const rpc_handler& h) {
    std::lock_guard<std::mutex> guard(parts_lock_);
    reserved_msg_ = m;
    reserved_handler_ = h;
}

ptr<req_msg> peer::get_rsv_msg() const {
    std::lock_guard<std::mutex> guard(parts_lock_);
    return reserved_msg_;
}

rpc_handler peer::get_rsv_msg_handler() const {
    std::lock_guard<std::mutex> guard(parts_lock_);
    return reserved_handler_;
}

}  // namespace nuraft
