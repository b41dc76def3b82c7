#include <algorithm>

#include "protocol/raft.hxx"

// Connections to other servers and the requests on them (behaviour 10.2-10.5).

namespace nuraft {
namespace protocol {

namespace {

/// The answer that belongs to a request (wire 3.1: the number after it).
msg_type answer_to(msg_type request) {
    return static_cast<msg_type>(request + 1);
}

}  // namespace

void raft::forget_sends(peer_progress& p) {
    for (auto s = sent_.begin(); s != sent_.end();) {
        const bool forget =
            s->second.peer == p.id && !mutated(mutation::answer_of_replaced_connection_counts);
        s = forget ? sent_.erase(s) : std::next(s);
    }
    p.busy = false;
    p.unanswered = 0;
    p.bytes_in_flight = 0;
}

bool raft::ready_to_send(peer_progress& p) {
    const int64_t too_silent =
        int64_t{settings_.params.heart_beat_interval_} * settings_.limits.reconnect;
    // A leaver whose removal is committed is not worth a new connection.
    const bool gone = p.id == leaving_ && commit_index_ >= leaving_index_;
    const bool silent = !gone && p.unanswered > 0 && now_ - p.last_activity > too_silent;
    const bool asked = p.redial_at >= 0 && now_ >= p.redial_at;
    return p.broken || silent || asked ? reconnect(p) : true;
}

bool raft::reconnect(peer_progress& p) {
    if (now_ < p.next_dial && !reconnect_at_once_) return false;
    // First at once, then after 1, 2, 4, ... ms, up to a heartbeat.
    p.next_dial = now_ + p.dial_gap_ms;
    p.dial_gap_ms = std::min(std::max(1, p.dial_gap_ms * 2), settings_.params.heart_beat_interval_);
    p.broken = false;
    p.redial_at = -1;
    p.last_activity = now_;
    forget_sends(p);
    end_streaming(p);
    if (role_ == srv_role::leader && p.next != 0 && !is_joining(p)) {
        // The other end may have lost its log meanwhile: probe from our own end.
        p.next = 0;
        p.match = 0;
    }
    out_->connections.push_back({connection_change::replace, p.id, p.server->get_endpoint()});
    return true;
}

std::optional<sent_request> raft::take_sent(uint64_t number) {
    auto found = sent_.find(number);
    if (found == sent_.end()) return std::nullopt;  // Of a connection that was replaced (B15).
    sent_request was = found->second;
    sent_.erase(found);
    if (peer_progress* p = find_target(was.peer)) {
        --p->unanswered;
        if (was.ordinary) {
            p->busy = false;
        } else if (!mutated(mutation::bytes_never_returned)) {
            p->bytes_in_flight = std::max<int64_t>(0, p->bytes_in_flight - was.bytes);
        }
    }
    return was;
}

void raft::on_response(const inputs::response& in) {
    std::optional<sent_request> was = take_sent(in.send);
    if (!was) return;
    peer_progress* p = find_target(was->peer);
    if (!p) return;
    const resp_msg& resp = *in.msg;
    if (resp.get_type() != answer_to(was->type) || resp.get_src() != p->id ||
        resp.get_term() > largest_number) {
        report_bad_message(p->id, "answer of type " + msg_type_to_string(resp.get_type()) +
                                      " and term " + std::to_string(resp.get_term()) +
                                      " from server " + std::to_string(resp.get_src()) + " to a " +
                                      msg_type_to_string(was->type));
        return on_peer_error(*p, *was);
    }
    p->last_activity = now_;
    p->dial_gap_ms = 0;
    p->heartbeat_ms = settings_.params.heart_beat_interval_;
    if (resp.get_accepted()) {
        p->last_response = now_;
        p->errors = 0;
        p->lost = false;
    }
    if (is_joining(*p)) {
        // Bringing a stranger up to date never changes our term (behaviour 3.3).
        if (was->type == msg_type::join_cluster_request) return on_join_response(resp);
        if (was->type == msg_type::sync_log_request) return on_sync_response(resp);
        if (was->type == msg_type::install_snapshot_request) return on_install_response(*p, resp);
        return;
    }
    if (was->type == msg_type::leave_cluster_request) return on_leave_response(*p, resp);
    if (was->type == msg_type::reconnect_request) return;
    if (was->type != msg_type::pre_vote_request && adopt_term(resp.get_term())) return;
    note_leadership_confirmed(*p, *was, in.send, resp.get_term());
    switch (was->type) {
        case msg_type::append_entries_request:
            return on_append_response(*p, *was, resp);
        case msg_type::request_vote_request:
            return on_vote_response(*p, resp);
        case msg_type::pre_vote_request:
            return on_pre_vote_response(*p, resp);
        case msg_type::install_snapshot_request:
            return on_install_response(*p, resp);
        case msg_type::custom_notification_request:
            return on_notification_response(*p, resp);
        default:
            return;
    }
}

void raft::on_send_failed(const inputs::send_failed& in) {
    std::optional<sent_request> was = take_sent(in.send);
    if (!was) return;
    peer_progress* p = find_target(was->peer);
    if (!p) return;
    if (in.kept_back) {
        end_streaming(*p);
        return;
    }
    on_peer_error(*p, *was);
}

void raft::on_peer_error(peer_progress& p, const sent_request& was) {
    const raft_params& params = settings_.params;
    p.broken = true;
    p.last_activity = now_;
    p.snapshot_needed = false;
    forget_sends(p);
    end_streaming(p);
    check_transfer_timeout(p);
    if (is_joining(p)) return on_joining_error(was);
    // A member drops what comes after too long a gap (behaviour 19.4): a leader that slows down
    // would never reach it again.
    const int32_t slowest = params.use_full_consensus_among_healthy_members_
                                ? params.heart_beat_interval_
                                : std::max(max_heartbeat_ms(), params.heart_beat_interval_);
    p.heartbeat_ms = std::min(p.heartbeat_ms + params.rpc_failure_backoff_, slowest);
    if (++p.errors == settings_.limits.warning) report_lost(p);
    if (p.leave_requested) force_leave(p);
}

}  // namespace protocol
}  // namespace nuraft
