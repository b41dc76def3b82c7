#include "raft3d/fsm.hxx"

#include <exception>
#include <memory>
#include <utility>

#include "raft3d/bytes.hxx"
#include "raft3d/src/ffi.rs.h"

namespace raft3d {

using nuraft::ptr;
using nuraft::ulong;

fsm::fsm(rust::Box<Fsm> machine) : machine_(std::move(machine)) {}

fsm::~fsm() = default;

ptr<nuraft::buffer> fsm::commit_ext(const ext_op_params& params) {
    return buffer_of(machine_->commit(params.log_idx, slice_of(*params.data)));
}

void fsm::commit_config(ulong log_idx, ptr<nuraft::cluster_config>&) {
    machine_->pass(log_idx);
}

bool fsm::chk_create_snapshot() {
    return machine_->snapshot_due();
}

void fsm::create_snapshot(nuraft::snapshot& s,
                          nuraft::async_result<bool>::handler_type& when_done) {
    const ptr<nuraft::buffer> metadata = s.serialize();
    machine_->start_snapshot(s.get_last_log_idx(), s.get_last_log_term(), slice_of(*metadata),
                             std::make_unique<snapshot_done>(when_done));
}

int fsm::read_logical_snp_obj(nuraft::snapshot& s, void*& user_snp_ctx, ulong obj_id,
                              ptr<nuraft::buffer>& data_out, bool& is_last_obj) {
    try {
        if (user_snp_ctx == nullptr) {
            rust::Box<PieceReader> opened =
                machine_->open_snapshot(s.get_last_log_idx(), s.get_last_log_term());
            user_snp_ctx = opened.into_raw();
        }
        const auto& reader = *static_cast<const PieceReader*>(user_snp_ctx);
        data_out = buffer_of(read_piece(reader, obj_id, is_last_obj));
        return 0;
    } catch (const rust::Error&) {
        // Logged on the Rust side; the core starts the transfer anew.
        return -1;
    }
}

void fsm::free_user_snp_ctx(void*& user_snp_ctx) {
    if (user_snp_ctx == nullptr) return;
    rust::Box<PieceReader>::from_raw(static_cast<PieceReader*>(user_snp_ctx));
    user_snp_ctx = nullptr;
}

void fsm::save_logical_snp_obj(nuraft::snapshot& s, ulong& obj_id, nuraft::buffer& data,
                               bool /*is_first_obj*/, bool is_last_obj) {
    obj_id = machine_->save_piece(s.get_last_log_idx(), s.get_last_log_term(), obj_id,
                                  slice_of(data), is_last_obj);
}

bool fsm::apply_snapshot(nuraft::snapshot& s) {
    return machine_->apply_snapshot(s.get_last_log_idx(), s.get_last_log_term());
}

ptr<nuraft::snapshot> fsm::last_snapshot() {
    const rust::Vec<uint8_t> metadata = machine_->newest_snapshot();
    if (metadata.empty()) return nullptr;
    return nuraft::snapshot::deserialize(*buffer_of(metadata));
}

ulong fsm::last_commit_index() {
    return machine_->newest_snapshot_index();
}

snapshot_done::snapshot_done(nuraft::async_result<bool>::handler_type when_done)
    : when_done_(std::move(when_done)) {}

snapshot_done::~snapshot_done() {
    finish(false);
}

void snapshot_done::finish(bool ok) noexcept {
    if (!when_done_) return;
    const nuraft::async_result<bool>::handler_type told = std::move(when_done_);
    when_done_ = nullptr;
    try {
        ptr<std::exception> no_error;
        told(ok, no_error);
    } catch (const std::exception&) {
        // The core's own handler; it logs what it could not do.
    }
}

}  // namespace raft3d
