#pragma once

#include <cstdint>
#include <libnuraft/nuraft.hxx>
#include <vector>

#include "raft3d/unapplied_entries.hxx"
#include "rust/cxx.h"

namespace raft3d {

struct LogHandle;

/// Receives entries read from the log; each payload is copied once, into its buffer.
class entry_sink {
public:
    void push(uint64_t term, uint8_t kind, uint64_t timestamp_us, uint32_t crc,
              rust::Slice<const uint8_t> data) noexcept;

    std::vector<nuraft::ptr<nuraft::log_entry>>& entries() { return entries_; }

private:
    std::vector<nuraft::ptr<nuraft::log_entry>> entries_;
};

/// The log store, in Rust. See node.hxx for the conventions.
///
/// Built for parallel log appending: `append` and `write_at` store in memory, `end_of_append_batch`
/// asks for a flush without waiting, `last_durable_index` tells how far the disk is, and the
/// `append_notifier` spreads the news. A failure to write shows there and in `flush`; `append`
/// itself has no way to fail, and an entry that could not be stored is never called durable.
class durable_log : public nuraft::log_store {
public:
    explicit durable_log(rust::Box<LogHandle> log);
    ~durable_log() override;

    nuraft::ulong next_slot() const override;
    nuraft::ulong start_index() const override;
    nuraft::ptr<nuraft::log_entry> last_entry() const override;
    nuraft::ulong append(nuraft::ptr<nuraft::log_entry>& entry) override;
    void write_at(nuraft::ulong index, nuraft::ptr<nuraft::log_entry>& entry) override;
    void end_of_append_batch(nuraft::ulong start, nuraft::ulong cnt) override;
    nuraft::ptr<std::vector<nuraft::ptr<nuraft::log_entry>>> log_entries(
        nuraft::ulong start, nuraft::ulong end) override;
    nuraft::ptr<std::vector<nuraft::ptr<nuraft::log_entry>>> log_entries_ext(
        nuraft::ulong start, nuraft::ulong end, nuraft::int64 batch_size_hint_in_bytes) override;
    nuraft::ptr<nuraft::log_entry> entry_at(nuraft::ulong index) override;
    nuraft::ulong term_at(nuraft::ulong index) override;
    nuraft::ptr<nuraft::buffer> pack(nuraft::ulong index, nuraft::int32 cnt) override;

    /// Throws if the bytes are no pack; the log is unchanged then.
    void apply_pack(nuraft::ulong index, nuraft::buffer& pack) override;
    bool compact(nuraft::ulong last_log_index) override;
    bool flush() override;
    nuraft::ulong last_durable_index() override;

private:
    /// The entries `start..end`, cut short at `bytes_max`; null if one cannot be read.
    nuraft::ptr<std::vector<nuraft::ptr<nuraft::log_entry>>> read(uint64_t start, uint64_t end,
                                                                  uint64_t bytes_max) const;

    rust::Box<LogHandle> log_;
    unapplied_entries unapplied_;
};

}  // namespace raft3d
