#include "snapshot.hxx"

#include <stdexcept>
#include <string>

namespace nuraft {

snapshot::snapshot(ulong last_log_idx, ulong last_log_term, const ptr<cluster_config>& last_config,
                   ulong size, type _type)
    : last_log_idx_(last_log_idx),
      last_log_term_(last_log_term),
      size_(size),
      last_config_(last_config),
      type_(_type) {}

ptr<snapshot> snapshot::deserialize(buffer& buf) {
    buffer_serializer bs(buf);
    return deserialize(bs);
}

ptr<snapshot> snapshot::deserialize(buffer_serializer& bs) {
    const uint8_t kind = bs.get_u8();
    if (kind != raw_binary && kind != logical_object) {
        throw std::runtime_error("snapshot of type " + std::to_string(kind) +
                                 ": only 1 (raw) and 2 (logical objects) exist");
    }
    const ulong last_log_idx = bs.get_u64();
    const ulong last_log_term = bs.get_u64();
    const ulong size = bs.get_u64();
    ptr<cluster_config> config = cluster_config::deserialize(bs);
    return cs_new<snapshot>(last_log_idx, last_log_term, config, size, static_cast<type>(kind));
}

ptr<buffer> snapshot::serialize() {
    if (!last_config_) {
        throw std::runtime_error("snapshot at " + std::to_string(last_log_idx_) +
                                 " has no configuration to serialize");
    }
    ptr<buffer> config = last_config_->serialize();
    ptr<buffer> to = buffer::alloc(25 + config->size());
    buffer_serializer bs(to);
    bs.put_u8(type_);
    bs.put_u64(last_log_idx_);
    bs.put_u64(last_log_term_);
    bs.put_u64(size_);
    bs.put_buffer(*config);
    return to;
}

}  // namespace nuraft
