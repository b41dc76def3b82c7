#pragma once

#include "basic_types.hxx"
#include "buffer.hxx"
#include "buffer_serializer.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "snapshot.hxx"

namespace nuraft {

/// One object of a snapshot on its way to a follower.
class snapshot_sync_req {
    __nocopy__(snapshot_sync_req);

public:
    /// `offset`: object id, or byte offset of a raw snapshot. `done`: the last one. Throws
    /// `std::invalid_argument` if `s` is null; a null `buf` means no bytes.
    snapshot_sync_req(const ptr<snapshot>& s, ulong offset, const ptr<buffer>& buf, bool done);

    /// From byte 0, to the end; the payload is copied. Throws `std::overflow_error` if the bytes
    /// end before the payload, `std::runtime_error` for an unknown type of snapshot.
    static ptr<snapshot_sync_req> deserialize(buffer& buf);
    /// From the serializer's cursor.
    static ptr<snapshot_sync_req> deserialize(buffer_serializer& bs);

    snapshot& get_snapshot() const { return *snapshot_; }
    ulong get_offset() const { return offset_; }
    void set_offset(const ulong src) { offset_ = src; }
    buffer& get_data() const { return *data_; }
    bool is_done() const { return done_; }

    /// Snapshot, u64 offset, u8 done, then the payload from its cursor.
    ptr<buffer> serialize();

private:
    ptr<snapshot> snapshot_;
    ulong offset_;
    ptr<buffer> data_;
    bool done_;
};

}  // namespace nuraft
