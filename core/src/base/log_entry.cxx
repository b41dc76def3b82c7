#include "log_entry.hxx"

#include "base/crc32.hxx"

namespace nuraft {

namespace {

constexpr size_t header_size = sizeof(ulong) + sizeof(byte);

uint32_t checksum(const buffer& buf) {
    return crc32(buf.data_begin(), buf.size());
}

}  // namespace

log_entry::log_entry(ulong term, const ptr<buffer>& buff, log_val_type value_type,
                     uint64_t log_timestamp, bool has_crc32, uint32_t crc32, bool compute_crc)
    : term_(term),
      value_type_(value_type),
      buff_(buff),
      timestamp_us_(log_timestamp),
      has_crc32_(has_crc32),
      crc32_(crc32) {
    if (buff_ && !has_crc32 && compute_crc) {
        crc32_ = checksum(*buff_);
        has_crc32_ = true;
    }
}

void log_entry::change_buf(const ptr<buffer>& buff) {
    buff_ = buff;
    if (buff_ && has_crc32_) crc32_ = checksum(*buff_);
}

ptr<buffer> log_entry::serialize() {
    // Only where it is needed: other threads may be reading the payload's cursor.
    if (buff_ && buff_->pos() != 0) buff_->pos(0);
    ptr<buffer> to = buffer::alloc(header_size + (buff_ ? buff_->size() : 0));
    to->put(term_);
    to->put(static_cast<byte>(value_type_));
    if (buff_) to->put(*buff_);
    to->pos(0);
    return to;
}

ptr<log_entry> log_entry::deserialize(buffer& buf) {
    const ulong term = buf.get_ulong();
    const log_val_type type = static_cast<log_val_type>(buf.get_byte());
    return cs_new<log_entry>(term, buffer::copy(buf), type);
}

ulong log_entry::term_in_buffer(buffer& buf) {
    const ulong term = buf.get_ulong();
    buf.pos(0);
    return term;
}

}  // namespace nuraft
