#pragma once

#include <cstdint>
#include <unordered_map>

#include "async.hxx"
#include "basic_types.hxx"
#include "buffer.hxx"
#include "cluster_config.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "snapshot.hxx"

namespace nuraft {

/// What the log is applied to; the program implements it. Buffers passed in have their cursor at 0
/// and, unless stated, are valid during the call only.
class state_machine {
    __interface_body__(state_machine);

public:
    struct ext_op_params {
        ext_op_params(ulong _log_idx, ptr<buffer>& _data) : log_idx(_log_idx), data(_data) {}
        ulong log_idx;
        /// Copy the pointer to keep the bytes. The log store may share them: read only.
        ptr<buffer>& data;
    };

    struct adjust_commit_index_params {
        adjust_commit_index_params() : current_commit_index_(0), expected_commit_index_(0) {}
        uint64_t current_commit_index_;   ///< Committed so far.
        uint64_t expected_commit_index_;  ///< What the quorum rule would commit.
        /// Matched index of each server, this leader and learners included.
        std::unordered_map<int, uint64_t> peer_index_map_;
    };

    /// Applies a committed entry and returns the client's answer. One call at a time, in index
    /// order, each index once.
    virtual ptr<buffer> commit(const ulong log_idx, buffer& data) {
        (void)log_idx;
        (void)data;
        return nullptr;
    }
    /// What the server calls.
    virtual ptr<buffer> commit_ext(const ext_op_params& params) {
        return commit(params.log_idx, *params.data);
    }
    /// A configuration was committed; counts for `last_commit_index` too.
    virtual void commit_config(const ulong log_idx, ptr<cluster_config>& new_conf) {
        (void)log_idx;
        (void)new_conf;
    }

    /// An entry was appended here and is not agreed yet. The result is used with asynchronous
    /// replication only.
    virtual ptr<buffer> pre_commit(const ulong log_idx, buffer& data) {
        (void)log_idx;
        (void)data;
        return nullptr;
    }
    virtual ptr<buffer> pre_commit_ext(const ext_op_params& params) {
        return pre_commit(params.log_idx, *params.data);
    }

    /// Undoes `pre_commit` of an entry that another leader replaced.
    virtual void rollback(const ulong log_idx, buffer& data) {
        (void)log_idx;
        (void)data;
    }
    virtual void rollback_ext(const ext_op_params& params) {
        rollback(params.log_idx, *params.data);
    }
    virtual void rollback_config(const ulong log_idx, ptr<cluster_config>& conf) {
        (void)log_idx;
        (void)conf;
    }

    /// Asked of followers. 0: no preference; positive: wanted payload bytes of the next batch;
    /// negative: nothing for now.
    virtual int64 get_next_batch_size_hint_in_bytes() { return 0; }

    /// Legacy: one chunk of a `raw_binary` snapshot.
    virtual void save_snapshot_data(snapshot& s, const ulong offset, buffer& data) {
        (void)s;
        (void)offset;
        (void)data;
    }
    /// One object of a snapshot that the leader sends. `obj_id` goes in as this object's id and
    /// comes out as the id of the one wanted next.
    virtual void save_logical_snp_obj(snapshot& s, ulong& obj_id, buffer& data, bool is_first_obj,
                                      bool is_last_obj) {
        (void)s;
        (void)obj_id;
        (void)data;
        (void)is_first_obj;
        (void)is_last_obj;
    }
    /// Replaces the state by the snapshot received. False is fatal.
    virtual bool apply_snapshot(snapshot& s) = 0;

    /// Legacy: fills `data` from a `raw_binary` snapshot and returns its size.
    virtual int read_snapshot_data(snapshot& s, const ulong offset, buffer& data) {
        (void)s;
        (void)offset;
        (void)data;
        return 0;
    }
    /// Reads one object for a follower. `user_snp_ctx` is null on the first call of a transfer and
    /// kept between its calls. Negative: failed; the transfer starts again later.
    virtual int read_logical_snp_obj(snapshot& s, void*& user_snp_ctx, ulong obj_id,
                                     ptr<buffer>& data_out, bool& is_last_obj) {
        (void)s;
        (void)user_snp_ctx;
        (void)obj_id;
        data_out = buffer::alloc(4);
        data_out->put(static_cast<int32>(0));
        data_out->pos(0);
        is_last_obj = true;
        return 0;
    }
    /// A transfer ended, well or not; the context may be null.
    virtual void free_user_snp_ctx(void*& user_snp_ctx) { (void)user_snp_ctx; }

    /// The newest complete snapshot; null if there is none.
    virtual ptr<snapshot> last_snapshot() = 0;

    /// Last applied index known to be durable; 0 if none.
    virtual ulong last_commit_index() = 0;

    /// Takes a snapshot as of `s.get_last_log_idx()`. Calls `when_done` once, from any thread, now
    /// or later; copy it to call it later, the copy keeps `s` alive.
    virtual void create_snapshot(snapshot& s, async_result<bool>::handler_type& when_done) = 0;

    /// Asked when a snapshot is due; false postpones it.
    virtual bool chk_create_snapshot() { return true; }

    /// Last gate of an automatic leadership transfer.
    virtual bool allow_leadership_transfer() { return true; }

    /// The leader may commit less than the quorum allows.
    virtual uint64_t adjust_commit_index(const adjust_commit_index_params& params) {
        return params.expected_commit_index_;
    }
};

}  // namespace nuraft
