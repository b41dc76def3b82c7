#include "peer.hxx"
#include "rpc_exception.hxx"
#include "server/impl.hxx"
#include "server/snapshot_io_queue.hxx"
#include "snapshot_sync_req.hxx"

// The public face of the snapshot thread, for programs that move snapshots by themselves.

namespace nuraft {

snapshot_io_mgr& snapshot_io_mgr::instance() {
    static snapshot_io_mgr manager;
    return manager;
}

snapshot_io_mgr::snapshot_io_mgr() {
    snapshot_io_queue::instance();  // Outlives this.
}

snapshot_io_mgr::~snapshot_io_mgr() = default;

bool snapshot_io_mgr::push(ptr<raft_server> r, ptr<peer> p,
                           std::function<void(ptr<resp_msg>&, ptr<rpc_exception>&)>& h) {
    ptr<snapshot_sync_ctx> transfer = p->get_snapshot_sync_ctx();
    if (!transfer || has_pending_request(r.get(), p->get_id())) return false;
    auto read = [r, p, transfer, h]() mutable { r->send_snapshot_object(p, *transfer, h); };
    return snapshot_io_queue::instance().push(r.get(), p->get_id(), read);
}

void snapshot_io_mgr::invoke() {
    snapshot_io_queue::instance().wake();
}

void snapshot_io_mgr::drop_reqs(raft_server* r) {
    snapshot_io_queue::instance().drop(r);
}

bool snapshot_io_mgr::has_pending_request(raft_server* r, int srv_id) {
    return snapshot_io_queue::instance().has(r, srv_id);
}

void snapshot_io_mgr::shutdown() {
    snapshot_io_queue::instance().shutdown();
}

void raft_server::send_snapshot_object(const ptr<peer>& to, snapshot_sync_ctx& transfer,
                                       rpc_handler& h) {
    const ptr<snapshot>& s = transfer.get_snapshot();
    auto req = cs_new<req_msg>(get_term(), msg_type::install_snapshot_request, id_, to->get_id(),
                               s->get_last_log_term(), s->get_last_log_idx(),
                               get_target_committed_log_idx());
    ptr<buffer> data;
    bool last = false;
    const int rc = state_machine_->read_logical_snp_obj(*s, transfer.get_user_snp_ctx(),
                                                        transfer.get_obj_idx(), data, last);
    if (rc < 0 || !data) {
        ptr<resp_msg> none;
        auto error = cs_new<rpc_exception>("reading a snapshot object failed", req);
        return h(none, error);
    }
    data->pos(0);
    snapshot_sync_req object(s, transfer.get_obj_idx(), data, last);
    req->log_entries().push_back(
        cs_new<log_entry>(get_term(), object.serialize(), log_val_type::snp_sync_req));
    to->send_req(to, req, h);
}

}  // namespace nuraft
