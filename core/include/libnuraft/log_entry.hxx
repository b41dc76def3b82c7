#pragma once

#include "basic_types.hxx"
#include "buffer.hxx"
#include "log_val_type.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"

#ifdef _NO_EXCEPTION
#include <cassert>
#else
#include <stdexcept>
#endif

namespace nuraft {

/// One entry of the log. Shares its payload; treat both as immutable once the entry is handed to
/// the library. The checksum is the CRC-32 of zlib over the whole payload.
class log_entry {
    __nocopy__(log_entry);

public:
    /// The checksum is computed unless it is given (`has_crc32`), unwanted (`compute_crc` false) or
    /// there is no payload. `log_timestamp`: microseconds since the epoch.
    log_entry(ulong term, const ptr<buffer>& buff, log_val_type value_type = log_val_type::app_log,
              uint64_t log_timestamp = 0, bool has_crc32 = false, uint32_t crc32 = 0,
              bool compute_crc = true);

    ulong get_term() const { return term_; }
    void set_term(ulong term) { term_ = term; }
    log_val_type get_val_type() const { return value_type_; }
    bool is_buf_null() const { return buff_ == nullptr; }

    /// Throws `std::runtime_error` if there is no payload.
    buffer& get_buf() const;
    ptr<buffer> get_buf_ptr() const { return buff_; }
    /// Computes the checksum anew if the entry has one and `buff` is not null.
    void change_buf(const ptr<buffer>& buff);

    /// Wall clock of the leader, microseconds since the epoch; 0 if unknown.
    uint64_t get_timestamp() const { return timestamp_us_; }
    void set_timestamp(uint64_t t) { timestamp_us_ = t; }

    bool has_crc32() const { return has_crc32_; }
    uint32_t get_crc32() const { return crc32_; }
    /// Sets the value only; whether the entry has one stays.
    void set_crc32(uint32_t crc) { crc32_ = crc; }

    /// u64 term, u8 type, payload; neither timestamp nor checksum. Rewinds the payload's cursor.
    ptr<buffer> serialize();
    /// The inverse, from the cursor of `buf`, which moves past the type. The payload is a copy of
    /// the rest. Throws `std::overflow_error` for less than 9 bytes.
    static ptr<log_entry> deserialize(buffer& buf);
    /// The term at the cursor of a serialized entry; the cursor becomes 0.
    static ulong term_in_buffer(buffer& buf);

private:
    ulong term_;
    log_val_type value_type_;
    ptr<buffer> buff_;
    uint64_t timestamp_us_;
    bool has_crc32_;
    uint32_t crc32_;
};

// Inline, because `_NO_EXCEPTION` is a choice of the program, not of the library.
inline buffer& log_entry::get_buf() const {
#ifdef _NO_EXCEPTION
    assert(buff_);
#else
    if (!buff_) throw std::runtime_error("log entry has no payload");
#endif
    return *buff_;
}

}  // namespace nuraft
