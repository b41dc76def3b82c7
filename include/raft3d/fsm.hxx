#pragma once

#include <cstdint>
#include <libnuraft/nuraft.hxx>

#include "rust/cxx.h"

namespace raft3d {

struct Fsm;

/// The state machine, in Rust. See node.hxx for the conventions.
class fsm : public nuraft::state_machine {
public:
    explicit fsm(rust::Box<Fsm> machine);
    ~fsm() override;

    /// Applies a command and returns the encoded outcome, never null.
    nuraft::ptr<nuraft::buffer> commit_ext(const ext_op_params& params) override;

    /// Notes that the index has been passed.
    void commit_config(nuraft::ulong log_idx, nuraft::ptr<nuraft::cluster_config>& conf) override;

    /// Lets a large farm have snapshots further apart than the distance between two that is set.
    bool chk_create_snapshot() override;

    /// Takes a copy of the state at once; a thread of the Rust side writes it and reports.
    void create_snapshot(nuraft::snapshot& s,
                         nuraft::async_result<bool>::handler_type& when_done) override;

    /// Object ids are piece numbers of the snapshot file; the context holds the open file.
    int read_logical_snp_obj(nuraft::snapshot& s, void*& user_snp_ctx, nuraft::ulong obj_id,
                             nuraft::ptr<nuraft::buffer>& data_out, bool& is_last_obj) override;
    void free_user_snp_ctx(void*& user_snp_ctx) override;

    /// Stores one piece and asks for the next. With the last one the snapshot is checked and made
    /// durable, so that the log may be compacted before `apply_snapshot`. Throws if that fails.
    void save_logical_snp_obj(nuraft::snapshot& s, nuraft::ulong& obj_id, nuraft::buffer& data,
                              bool is_first_obj, bool is_last_obj) override;

    /// Replaces the state by the snapshot received.
    bool apply_snapshot(nuraft::snapshot& s) override;

    nuraft::ptr<nuraft::snapshot> last_snapshot() override;

    /// Index of the newest snapshot: what was applied after it is replayed from the log.
    nuraft::ulong last_commit_index() override;

private:
    rust::Box<Fsm> machine_;
};

/// The core's wish to hear how the creation of one snapshot ended.
class snapshot_done {
public:
    explicit snapshot_done(nuraft::async_result<bool>::handler_type when_done);

    /// Tells the core that it failed, if nothing has been told.
    ~snapshot_done();

    snapshot_done(const snapshot_done&) = delete;
    snapshot_done& operator=(const snapshot_done&) = delete;

    /// Tells the core, which may take its locks and compact the log. Only the first call counts.
    void finish(bool ok) noexcept;

private:
    nuraft::async_result<bool>::handler_type when_done_;
};

}  // namespace raft3d
