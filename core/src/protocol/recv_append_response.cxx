#include <algorithm>

#include "protocol/append_appendix.hxx"
#include "protocol/raft.hxx"

// What a leader learns from the answer to an append request (behaviour 13, 14.1).

namespace nuraft {
namespace protocol {

void raft::on_append_response(peer_progress& p, const sent_request& was, const resp_msg& resp) {
    // An answer counts only for the leadership that asked (B15).
    if (role_ != srv_role::leader || resp.get_term() != state_.term) return;
    const int32_t peer = p.id;
    p.size_hint = resp.get_next_batch_size_hint_in_bytes();
    if (resp.get_accepted()) {
        on_append_accepted(p, was, resp);
        if (peer == leaving_ && was.commit >= leaving_index_ && p.match >= leaving_index_) {
            return finish_leaving();  // It knows that its removal is committed.
        }
    } else if (was.ordinary || was.stream_epoch == p.stream_epoch) {
        on_append_refused(p, resp);
    } else {
        return;  // Sent behind another that was refused: says nothing new.
    }
    if (!find_peer(peer)) return;  // A configuration that this answer committed removed it.

    if (p.server->is_new_joiner()) promote_new_joiner(p);
    maybe_complete_handover();
    if (role_ != srv_role::leader) return;
    if (p.size_hint >= 0) send_more(p, !resp.get_accepted());
    ask_again_how_far(p);
    maybe_transfer_automatically();
}

void raft::continue_from(peer_progress& p, uint64_t next) {
    p.next = std::min(next, log_.last_index() + 1);  // Never believe in more than there is (B16).
    p.rewind = 1;
}

void raft::on_append_accepted(peer_progress& p, const sent_request& was, const resp_msg& resp) {
    if (resp.get_next_idx() == 0) return;
    // Never believe in more than what was sent (B16).
    const uint64_t through = std::min(resp.get_next_idx(), was.first + was.count) - 1;
    p.match = std::max(p.match, std::min<uint64_t>(through, log_.last_index()));
    p.last_accepted = p.match;
    p.commit_seen = std::max(p.commit_seen, std::min(was.commit, through));
    continue_from(p, p.match + 1);
    p.marked_down = (resp.get_extra_flags() & resp_msg::SELF_MARK_DOWN) != 0;
    note_applied_of(p, resp);
    notify(notice::append_response, p.id, p.match);
    maybe_start_streaming(p, was);
    recompute_commit();
    activate_committed_configs();  // Our own removal may have waited for this.
}

void raft::maybe_start_streaming(peer_progress& p, const sent_request& was) {
    const int32_t gap = settings_.params.max_log_gap_in_stream_;
    if (p.streaming || gap <= 0 || was.count == 0) return;
    if (log_.last_index() >= p.next + static_cast<uint64_t>(gap)) return;
    p.streaming = true;
    p.stream_position = p.next - 1;
}

void raft::on_append_refused(peer_progress& p, const resp_msg& resp) {
    end_streaming(p);
    const uint64_t next = resp.get_next_idx();
    const append_appendix::order what = append_appendix::deserialize(resp.get_ctx()).what;
    if (what == append_appendix::receiving_snapshot) {
        p.snapshot_needed = true;
        if (next > 0) continue_from(p, next);
        return;
    }
    if (next > 0 && next < p.next) {
        continue_from(p, next);
        p.match = std::min(p.match, next - 1);  // It lost what it had acknowledged.
        return;
    }
    if (what == append_appendix::do_not_rewind) return;
    // "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry" (Raft
    // figure 2), by 1, 2, 4, ... since entries sent once too often are skipped over there (B19).
    const uint64_t start = log_.start_index();
    if (p.next > start) {
        p.next = p.next > start + p.rewind ? p.next - p.rewind : start;
        p.rewind *= 2;
    } else if (p.next > 1) {
        --p.next;
    }
}

void raft::send_more(peer_progress& p, bool refused) {
    // A stream takes several requests at once; one that makes no progress ends the loop.
    for (;;) {
        const uint64_t sent_through = p.streaming ? p.stream_position : p.next - 1;
        const bool more = refused || p.commit_pending || sent_through < log_.last_index() ||
                          p.leave_unsent || p.snapshot_needed || awaited_by_reads(p);
        if (!more || !try_send(p)) return;
        refused = false;
        if (!p.streaming || p.stream_position == sent_through) return;
    }
}

}  // namespace protocol
}  // namespace nuraft
