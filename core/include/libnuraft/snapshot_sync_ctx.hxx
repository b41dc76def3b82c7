#pragma once

#include "basic_types.hxx"
#include "internal_timer.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "snapshot.hxx"

namespace nuraft {

/// One running transfer of a snapshot to a peer. Not synchronised, but for the timer.
class snapshot_sync_ctx {
    __nocopy__(snapshot_sync_ctx);

public:
    snapshot_sync_ctx(const ptr<snapshot>& s, int peer_id, ulong timeout_ms, ulong offset = 0L);

    const ptr<snapshot>& get_snapshot() const { return snapshot_; }
    int get_peer_id() const { return peer_id_; }
    /// Offset and object index are one value.
    ulong get_offset() const { return offset_; }
    ulong get_obj_idx() const { return offset_; }

    /// The state machine's own; released by `state_machine::free_user_snp_ctx`.
    void*& get_user_snp_ctx() { return user_snp_ctx_; }
    void set_user_snp_ctx(void* _user_snp_ctx) { user_snp_ctx_ = _user_snp_ctx; }

    /// Starts the timeout again if the value changes.
    void set_offset(ulong offset);
    /// Leaves the timeout alone.
    void set_obj_idx(ulong obj_idx) { offset_ = obj_idx; }

    timer_helper& get_timer() { return timer_; }

private:
    ptr<snapshot> snapshot_;
    int peer_id_;
    ulong offset_;
    void* user_snp_ctx_;
    timer_helper timer_;
};

}  // namespace nuraft
