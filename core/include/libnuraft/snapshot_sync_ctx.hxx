#pragma once

#include <functional>

#include "basic_types.hxx"
#include "internal_timer.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "snapshot.hxx"

namespace nuraft {

class peer;
class raft_server;
class resp_msg;
class rpc_exception;

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

/// Reads snapshot objects on a thread of its own, so that a slow disk holds up no server; for
/// `raft_params::use_bg_thread_for_snapshot_io_`. One for the process. Thread-safe.
class snapshot_io_mgr {
    __nocopy__(snapshot_io_mgr);

public:
    /// Made, with its thread, at the first call.
    static snapshot_io_mgr& instance();

    /// Reads the next object of the transfer that `p` is in, and sends it as `r`'s to the peer; `h`
    /// gets the answer, or an error if reading fails. False: a reading for this server and peer is
    /// queued already, there is no transfer, or the manager is shut down.
    bool push(ptr<raft_server> r, ptr<peer> p,
              std::function<void(ptr<resp_msg>&, ptr<rpc_exception>&)>& h);
    /// Wakes the thread.
    void invoke();
    /// Forgets what is queued for a server; what is being read goes on.
    void drop_reqs(raft_server* r);
    bool has_pending_request(raft_server* r, int srv_id);
    /// Stops the thread, for good; servers read in their own threads from then on.
    void shutdown();

private:
    snapshot_io_mgr();
    ~snapshot_io_mgr();
};

}  // namespace nuraft
