#include "snapshot_sync_req.hxx"

#include <stdexcept>

namespace nuraft {

snapshot_sync_req::snapshot_sync_req(const ptr<snapshot>& s, ulong offset, const ptr<buffer>& buf,
                                     bool done)
    : snapshot_(s), offset_(offset), data_(buf ? buf : buffer::alloc(0)), done_(done) {
    if (!s) throw std::invalid_argument("snapshot_sync_req without a snapshot");
}

ptr<snapshot_sync_req> snapshot_sync_req::deserialize(buffer& buf) {
    buffer_serializer bs(buf);
    return deserialize(bs);
}

ptr<snapshot_sync_req> snapshot_sync_req::deserialize(buffer_serializer& bs) {
    ptr<snapshot> meta = snapshot::deserialize(bs);
    const ulong offset = bs.get_u64();
    const bool done = bs.get_u8() == 1;
    ptr<buffer> data = buffer::alloc(bs.size() - bs.pos());
    bs.get_buffer(data);
    return cs_new<snapshot_sync_req>(meta, offset, data, done);
}

ptr<buffer> snapshot_sync_req::serialize() {
    ptr<buffer> meta = snapshot_->serialize();
    ptr<buffer> to = buffer::alloc(meta->size() + 9 + data_->size() - data_->pos());
    buffer_serializer bs(to);
    bs.put_buffer(*meta);
    bs.put_u64(offset_);
    bs.put_u8(done_ ? 1 : 0);
    bs.put_buffer(*data_);
    return to;
}

}  // namespace nuraft
