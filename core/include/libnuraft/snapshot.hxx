#pragma once

#include "basic_types.hxx"
#include "buffer.hxx"
#include "buffer_serializer.hxx"
#include "cluster_config.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

/// What is known of a snapshot without its data: up to which entry it goes, and the configuration
/// then.
class snapshot {
    __nocopy__(snapshot);

public:
    enum type : uint8_t {
        raw_binary = 0x1,      ///< Legacy: addressed by byte offset.
        logical_object = 0x2,  ///< Addressed by object id.
    };

    snapshot(ulong last_log_idx, ulong last_log_term, const ptr<cluster_config>& last_config,
             ulong size = 0, type _type = logical_object);

    ulong get_last_log_idx() const { return last_log_idx_; }
    ulong get_last_log_term() const { return last_log_term_; }
    /// Bytes; meaningful for `raw_binary` only.
    ulong size() const { return size_; }
    void set_size(ulong size) { size_ = size; }
    type get_type() const { return type_; }
    void set_type(type src) { type_ = src; }
    const ptr<cluster_config>& get_last_config() const { return last_config_; }

    /// From byte 0. Throws `std::overflow_error` if the bytes end too early, `std::runtime_error`
    /// for an unknown type.
    static ptr<snapshot> deserialize(buffer& buf);
    /// From the serializer's cursor.
    static ptr<snapshot> deserialize(buffer_serializer& bs);
    /// u8 type, u64 last index, u64 last term, u64 size, configuration. Throws
    /// `std::runtime_error` if there is no configuration.
    ptr<buffer> serialize();

private:
    ulong last_log_idx_;
    ulong last_log_term_;
    ulong size_;
    ptr<cluster_config> last_config_;
    type type_;
};

}  // namespace nuraft
