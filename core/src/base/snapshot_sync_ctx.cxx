#include "snapshot_sync_ctx.hxx"

namespace nuraft {

snapshot_sync_ctx::snapshot_sync_ctx(const ptr<snapshot>& s, int peer_id, ulong timeout_ms,
                                     ulong offset)
    : snapshot_(s),
      peer_id_(peer_id),
      offset_(offset),
      user_snp_ctx_(nullptr),
      timer_(timeout_ms * 1000) {}

void snapshot_sync_ctx::set_offset(ulong offset) {
    if (offset == offset_) return;
    offset_ = offset;
    timer_.reset();
}

}  // namespace nuraft
