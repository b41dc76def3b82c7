#include "raft3d/durable_log.hxx"

#include <limits>
#include <stdexcept>
#include <utility>

#include "raft3d/bytes.hxx"
#include "raft3d/src/ffi.rs.h"

namespace raft3d {

using nuraft::log_entry;
using nuraft::ptr;
using nuraft::ulong;

namespace {

using entries = std::vector<ptr<log_entry>>;

constexpr uint64_t no_limit = std::numeric_limits<uint64_t>::max();

/// An entry in a pack: u64 term, u8 type, u64 timestamp, u32 checksum, u32 length, payload.
constexpr size_t pack_entry_header_len = 25;

rust::Slice<const uint8_t> payload_of(const log_entry& entry) {
    if (entry.is_buf_null()) return {};
    return slice_of(entry.get_buf());
}

uint64_t append_to(LogHandle& log, const log_entry& entry) {
    return log.append(entry.get_term(), entry.get_val_type(), entry.get_timestamp(),
                      payload_of(entry));
}

/// The entries in `pack`; throws if it is none, or damaged.
entries unpack(nuraft::buffer& pack) {
    nuraft::buffer_serializer in(pack);
    const uint32_t count = in.get_u32();
    entries unpacked;
    for (uint32_t i = 0; i < count; ++i) {
        const uint64_t term = in.get_u64();
        const auto type = static_cast<nuraft::log_val_type>(in.get_u8());
        const uint64_t timestamp = in.get_u64();
        const uint32_t crc = in.get_u32();
        size_t len = 0;
        const auto* data = static_cast<const uint8_t*>(in.get_bytes(len));
        auto entry = nuraft::cs_new<log_entry>(term, buffer_of({data, len}), type, timestamp);
        if (entry->get_crc32() != crc) {
            throw std::runtime_error("an entry in a log pack does not fit its checksum");
        }
        unpacked.push_back(std::move(entry));
    }
    return unpacked;
}

}  // namespace

void entry_sink::push(uint64_t term, uint8_t kind, uint64_t timestamp_us, uint32_t crc,
                      rust::Slice<const uint8_t> data) noexcept {
    const bool has_crc = true;
    const bool compute_crc = false;
    entries_.push_back(nuraft::cs_new<log_entry>(term, buffer_of(data),
                                                 static_cast<nuraft::log_val_type>(kind),
                                                 timestamp_us, has_crc, crc, compute_crc));
}

durable_log::durable_log(rust::Box<LogHandle> log) : log_(std::move(log)) {}

durable_log::~durable_log() = default;

ulong durable_log::next_slot() const {
    return log_->next_index();
}

ulong durable_log::start_index() const {
    return log_->first_index();
}

ptr<log_entry> durable_log::last_entry() const {
    const uint64_t next = log_->next_index();
    const ptr<entries> last = next > log_->first_index() ? read(next - 1, next, no_limit) : nullptr;
    if (last && !last->empty()) return last->front();
    return nuraft::cs_new<log_entry>(0, nuraft::buffer::alloc(0));
}

ulong durable_log::append(ptr<log_entry>& entry) {
    const ulong index = append_to(*log_, *entry);
    unapplied_.put(index, entry);
    return index;
}

void durable_log::write_at(ulong index, ptr<log_entry>& entry) {
    log_->truncate(index);
    append(entry);
}

void durable_log::end_of_append_batch(ulong, ulong) {
    log_->request_flush();
}

ptr<entries> durable_log::log_entries(ulong start, ulong end) {
    return read(start, end, no_limit);
}

ptr<entries> durable_log::log_entries_ext(ulong start, ulong end,
                                          nuraft::int64 batch_size_hint_in_bytes) {
    if (batch_size_hint_in_bytes < 0) return nuraft::cs_new<entries>();
    const bool limited = batch_size_hint_in_bytes > 0;
    return read(start, end, limited ? static_cast<uint64_t>(batch_size_hint_in_bytes) : no_limit);
}

ptr<log_entry> durable_log::entry_at(ulong index) {
    if (ptr<log_entry> entry = unapplied_.take(index)) return entry;
    const ptr<entries> found = read(index, index + 1, no_limit);
    return found && !found->empty() ? found->front() : nullptr;
}

ulong durable_log::term_at(ulong index) {
    return log_->term_at(index);
}

ptr<nuraft::buffer> durable_log::pack(ulong index, nuraft::int32 cnt) {
    const ptr<entries> packed = read(index, index + static_cast<ulong>(cnt), no_limit);
    if (!packed) return nullptr;
    size_t len = sizeof(uint32_t);
    for (const auto& entry : *packed) len += pack_entry_header_len + payload_of(*entry).size();
    ptr<nuraft::buffer> out = nuraft::buffer::alloc(len);
    nuraft::buffer_serializer writer(out);
    writer.put_u32(static_cast<uint32_t>(packed->size()));
    for (const auto& entry : *packed) {
        const rust::Slice<const uint8_t> data = payload_of(*entry);
        writer.put_u64(entry->get_term());
        writer.put_u8(entry->get_val_type());
        writer.put_u64(entry->get_timestamp());
        writer.put_u32(entry->get_crc32());
        writer.put_bytes(data.data(), data.size());
    }
    return out;
}

void durable_log::apply_pack(ulong index, nuraft::buffer& pack) {
    const entries unpacked = unpack(pack);
    unapplied_.drop_from(index);
    if (index > log_->next_index()) {
        log_->purge(index - 1);
    } else {
        log_->truncate(index);
    }
    for (const auto& entry : unpacked) append_to(*log_, *entry);
    log_->request_flush();
}

bool durable_log::compact(ulong last_log_index) {
    log_->purge(last_log_index);
    log_->request_flush();
    return true;
}

bool durable_log::flush() {
    return log_->flush();
}

ulong durable_log::last_durable_index() {
    return log_->durable_index();
}

ptr<entries> durable_log::read(uint64_t start, uint64_t end, uint64_t bytes_max) const {
    entry_sink sink;
    if (!log_->read(start, end, bytes_max, sink)) return nullptr;
    return nuraft::cs_new<entries>(std::move(sink.entries()));
}

}  // namespace raft3d
