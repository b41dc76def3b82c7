#include <algorithm>

#include "protocol/raft.hxx"
#include "snapshot_sync_req.hxx"

// Snapshots: our own, and their transfer to a peer (Raft section 7; behaviour 23, 24.1-24.4, 24.6).

namespace nuraft {
namespace protocol {

void raft::on_snapshot_created(const inputs::snapshot_created& in) {
    if (!in.meta) return;
    if (snapshot_ && in.meta->get_last_log_idx() <= snapshot_->get_last_log_idx()) return;
    snapshot_ = in.meta;
    // Configurations older than the one in force at the snapshot are of no use any more.
    auto in_force = past_configs_.upper_bound(snapshot_->get_last_log_idx());
    if (in_force != past_configs_.begin()) --in_force;
    past_configs_.erase(past_configs_.begin(), in_force);
}

int32_t raft::transfer_timeout_ms() const {
    const raft_params& p = settings_.params;
    return p.snapshot_sync_ctx_timeout_ > 0 ? p.snapshot_sync_ctx_timeout_
                                            : p.heart_beat_interval_ * settings_.limits.response;
}

void raft::drop_transfer(peer_progress& p) {
    if (!p.transfer) return;
    if (!mutated(mutation::transfer_not_freed)) {
        out_->freed_transfers.push_back(p.transfer->number);
    }
    p.transfer.reset();
}

void raft::check_transfer_timeout(peer_progress& p) {
    if (p.transfer && now_ - p.transfer->progress_at > transfer_timeout_ms()) drop_transfer(p);
}

bool raft::send_snapshot(peer_progress& p) {
    check_transfer_timeout(p);
    if (p.transfer && p.transfer->data) {
        send_object(p);
        return true;
    }
    if (p.transfer && p.transfer->object == 0 && p.transfer->meta != snapshot_) drop_transfer(p);
    if (!p.transfer) {
        p.transfer = std::make_unique<snapshot_transfer>();
        p.transfer->number = next_transfer_++;
        p.transfer->meta = snapshot_;
        p.transfer->progress_at = now_;
    }
    p.transfer->reading = true;
    read_object r;
    r.transfer = p.transfer->number;
    r.peer = p.id;
    r.meta = p.transfer->meta;
    r.object = p.transfer->object;
    out_->reads.push_back(r);
    return true;
}

void raft::on_object_read(const inputs::object_read& in) {
    peer_progress* p = nullptr;
    if (joining_ && joining_->progress.transfer &&
        joining_->progress.transfer->number == in.transfer) {
        p = &joining_->progress;
    }
    for (auto& [peer_id, peer] : peers_) {
        if (peer.transfer && peer.transfer->number == in.transfer) p = &peer;
    }
    if (!p || role_ != srv_role::leader) return;
    p->transfer->reading = false;
    if (!in.data) {
        drop_transfer(*p);  // The next heartbeat starts over with the newest snapshot.
        if (is_joining(*p)) arm(timer_kind::retry, -1, max_heartbeat_ms());
        return;
    }
    p->transfer->data = in.data;
    p->transfer->last = in.last;
    if (!p->busy) send_object(*p);
}

void raft::send_object(peer_progress& p) {
    snapshot_transfer& t = *p.transfer;
    snapshot_sync_req object(t.meta, t.object, t.data, t.last);
    auto req =
        cs_new<req_msg>(state_.term, msg_type::install_snapshot_request, id(), p.id,
                        t.meta->get_last_log_term(), t.meta->get_last_log_idx(), commit_index_);
    req->log_entries().push_back(
        cs_new<log_entry>(state_.term, object.serialize(), log_val_type::snp_sync_req));
    t.data.reset();
    send_to(p, req, true);
}

void raft::on_install_response(peer_progress& p, const resp_msg& resp) {
    if (role_ != srv_role::leader || !p.transfer) return;
    const uint64_t through = p.transfer->meta->get_last_log_idx();
    const bool finished = resp.get_ctx() != nullptr;
    if (resp.get_accepted() && !finished) {
        if (p.transfer->object != resp.get_next_idx()) p.transfer->progress_at = now_;
        p.transfer->object = resp.get_next_idx();
        if (!is_joining(p)) {
            send_snapshot(p);
        } else if (!p.busy) {
            send_snapshot(p);
        }
        return;
    }
    drop_transfer(p);
    if (resp.get_accepted()) {
        p.snapshot_needed = false;
        continue_from(p, through + 1);
        p.match = std::max(p.match, through);
    } else if (resp.get_next_idx() > 0) {
        continue_from(p, resp.get_next_idx());
    }
    if (is_joining(p))
        return finished ? bring_up_to_date() : arm(timer_kind::retry, -1, max_heartbeat_ms());
    if (resp.get_accepted()) {
        recompute_commit();
        try_send(p);
    } else if (finished) {
        // It has all that this snapshot holds, and still cannot use our log.
        p.snapshot_needed = false;
        notify(notice::snapshot_wanted, p.id);
    }
}

}  // namespace protocol
}  // namespace nuraft
