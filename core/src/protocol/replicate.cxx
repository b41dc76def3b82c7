#include <algorithm>

#include "buffer_serializer.hxx"
#include "protocol/raft.hxx"

// Append entries, the sending side (Raft section 5.3; behaviour 10.1, 11, 14).

namespace nuraft {
namespace protocol {

namespace {

/// From how many equal starts on a request carries a single entry (behaviour 11.3).
constexpr int32_t same_first_limit = 5;

/// Notification types and layout: wire 4.9.
constexpr int out_of_range_notification = 1;

}  // namespace

void raft::on_replicate(const inputs::replicate& in) {
    if (in.peer == -1) return replicate_to_all();
    peer_progress* p = find_peer(in.peer);
    if (p && role_ == srv_role::leader) try_send(*p);
}

void raft::replicate_to_all() {
    if (role_ != srv_role::leader) return;
    for (auto& [peer_id, p] : peers_) try_send(p);
}

void raft::send_to(peer_progress& p, const ptr<req_msg>& msg, bool ordinary, uint64_t first,
                   uint64_t count, int64_t bytes) {
    const uint64_t number = next_send_++;
    sent_request s;
    s.peer = p.id;
    s.type = msg->get_type();
    s.ordinary = ordinary;
    s.first = first;
    s.count = count;
    s.bytes = bytes;
    s.commit = msg->get_commit_idx();
    s.stream_epoch = p.stream_epoch;
    sent_[number] = s;
    if (s.type == msg_type::append_entries_request) {
        p.last_append = number;
        if (!reads_.empty()) p.sent_for_reads = number;
    }
    ++p.unanswered;
    if (ordinary) p.busy = true;
    if (!ordinary) p.bytes_in_flight += bytes;
    out_->send.push_back({number, p.id, msg});
}

bool raft::streaming_full(const peer_progress& p) const {
    const raft_params& params = settings_.params;
    const uint64_t gap = static_cast<uint64_t>(std::max(params.max_log_gap_in_stream_, 0));
    if (p.stream_position + 1 >= p.next + gap) return true;
    return params.max_bytes_in_flight_in_stream_ > 0 &&
           p.bytes_in_flight > params.max_bytes_in_flight_in_stream_;
}

void raft::end_streaming(peer_progress& p) {
    if (p.streaming) ++p.stream_epoch;
    p.streaming = false;
}

bool raft::try_send(peer_progress& p) {
    if (role_ != srv_role::leader) return false;
    consider_other_of_two();
    if (!ready_to_send(p)) {
        check_transfer_timeout(p);
        return false;
    }
    if (settings_.params.max_log_gap_in_stream_ <= 0) end_streaming(p);
    if (p.leave_unsent && !p.busy) {
        p.leave_unsent = false;
        send_to(p,
                cs_new<req_msg>(state_.term, msg_type::leave_cluster_request, id(), p.id, 0,
                                log_.last_index(), commit_index_),
                true);
        return true;
    }
    if (p.transfer && p.transfer->reading) return true;
    if (p.streaming ? streaming_full(p) : p.busy) {
        check_transfer_timeout(p);
        return false;
    }
    return build_append(p);
}

bool raft::build_append(peer_progress& p) {
    const uint64_t end_of_log = log_.last_index() + 1;
    if (p.next == 0 || p.next > end_of_log) p.next = end_of_log;  // B16
    const uint64_t first = p.streaming ? p.stream_position + 1 : p.next;
    if (p.snapshot_needed || first < log_.start_index()) return send_snapshot_or_notice(p);

    const uint64_t most = static_cast<uint64_t>(std::max(settings_.params.max_append_size_, 1));
    uint64_t end = std::min(end_of_log, first + most);
    if (!p.streaming) {
        p.same_first = first == p.last_first && end - first >= 2 ? p.same_first + 1 : 0;
        p.last_first = first;
        if (p.same_first >= same_first_limit) end = first + 1;
    }
    ptr<std::vector<ptr<log_entry>>> entries = log_.entries(first, end, p.size_hint);
    if (!entries) return send_snapshot_or_notice(p);

    auto req = cs_new<req_msg>(state_.term, msg_type::append_entries_request, id(), p.id,
                               term_of(first - 1), first - 1, commit_index_);
    int64_t bytes = 0;
    for (const ptr<log_entry>& e : *entries) {
        if (req->log_entries().size() == end - first) break;
        req->log_entries().push_back(e);
        bytes += e->is_buf_null() ? 0 : static_cast<int64_t>(e->get_buf().size());
    }
    const uint64_t count = req->log_entries().size();
    req->set_extra_flags(append_flags(p, first - 1 + count));
    if (p.streaming) p.stream_position += count;
    if (p.streaming && count > 1 && mutated(mutation::stream_skips_entry)) ++p.stream_position;
    p.commit_pending = false;
    send_to(p, req, !p.streaming, first, count, bytes);
    return true;
}

bool raft::send_snapshot_or_notice(peer_progress& p) {
    if (p.busy) return false;
    end_streaming(p);
    if (snapshot_ && (p.snapshot_needed || p.next <= snapshot_->get_last_log_idx())) {
        return send_snapshot(p);
    }
    notify(notice::snapshot_wanted, p.id);
    send_out_of_range(p);
    return true;
}

void raft::send_out_of_range(peer_progress& p) {
    ptr<buffer> body = buffer::alloc(9);
    buffer_serializer bs(body);
    bs.put_u8(0);  // version
    bs.put_u64(log_.start_index());
    send_to(p, make_notification(out_of_range_notification, p.next - 1, 0, p.id, body), true);
}

void raft::start_heartbeats(peer_progress& p) {
    p.heartbeat_on = true;
    p.heartbeat_ms = settings_.params.heart_beat_interval_;
    arm(timer_kind::heartbeat, p.id, p.heartbeat_ms);
}

void raft::on_heartbeat_timer(int32_t peer) {
    if (role_ != srv_role::leader) return;
    check_leaving();
    check_handover_deadline();
    if (role_ != srv_role::leader) return;
    peer_progress* p = find_peer(peer);
    if (!p || !p->heartbeat_on) return;
    if (p->leave_requested && ++p->heartbeats_since_leave >= settings_.limits.leave) {
        force_leave(*p);
        p = find_peer(peer);
        if (!p) return;
    }
    notify(notice::heartbeat, peer, log_.last_index());
    check_leadership();
    refresh_leader_alive();
    if (!try_send(*p)) send_sign_of_life(*p);
    // Whatever came of it: a leader that stops its heartbeats is a leader lost (B14).
    arm(timer_kind::heartbeat, peer, p->heartbeat_ms);
}

void raft::send_sign_of_life(peer_progress& p) {
    // A follower holds its answers back until its disk has what they vouch for. If a slow disk made
    // us silent meanwhile, it would elect another leader for nothing. Only a stream takes a request
    // behind one that is not answered yet.
    const bool waits_for_disk = p.busy || (p.streaming && streaming_full(p));
    if (settings_.params.max_log_gap_in_stream_ <= 0 || !waits_for_disk || p.broken) return;
    const uint64_t first = p.streaming ? p.stream_position + 1 : p.next;
    if (p.transfer || p.snapshot_needed || first < log_.start_index()) return;
    auto req = cs_new<req_msg>(state_.term, msg_type::append_entries_request, id(), p.id,
                               term_of(first - 1), first - 1, commit_index_);
    req->set_extra_flags(append_flags(p, first - 1));
    send_to(p, req, false, first, 0, 0);
}

}  // namespace protocol
}  // namespace nuraft
