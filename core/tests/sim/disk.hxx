#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "dice.hxx"
#include "protocol/effects.hxx"
#include "protocol/log_view.hxx"

namespace sim {

/// Hash of what an entry says: type and payload, not its term.
uint64_t content_hash(const nuraft::log_entry& entry);
/// Mixes a number into a hash.
uint64_t mix(uint64_t hash, uint64_t value);
nuraft::ptr<nuraft::log_entry> copy_entry(const nuraft::log_entry& entry);

/// State of the simulated state machine: a hash over all that was applied.
struct machine_state {
    uint64_t index = 0;
    uint64_t hash = 0;
};

/// A snapshot as it lies on the disk.
struct snapshot_image {
    nuraft::ptr<nuraft::snapshot> meta;
    machine_state state;
};

/// The disk of one server: what survives a crash, and the log store's memory in front of it.
/// A log write passes three stages: queued (asked for), stored (readable), durable. A crash keeps
/// what is durable and, torn, a prefix of what was stored.
class disk : public nuraft::protocol::log_view {
public:
    struct stored_entry {
        nuraft::ptr<nuraft::log_entry> entry;
        uint64_t hash = 0;
        uint64_t term() const { return entry->get_term(); }
    };

    // Saved synchronously.
    nuraft::protocol::hard_state state;
    nuraft::ptr<nuraft::cluster_config> config;
    std::deque<snapshot_image> snapshots;  ///< The newest last; never more than three.
    machine_state machine;                 ///< What the state machine itself kept.

    // log_view: the stored stage.
    uint64_t start_index() const override { return start_; }
    uint64_t next_index() const override { return start_ + stored_.size(); }
    uint64_t term_at(uint64_t index) const override;
    nuraft::ptr<std::vector<nuraft::ptr<nuraft::log_entry>>> entries(
        uint64_t first, uint64_t end, int64_t size_hint_bytes) const override;
    nuraft::ptr<nuraft::buffer> pack(uint64_t first, int32_t count) const override;

    void queue(const nuraft::protocol::log_write& write);
    bool has_queued() const { return !queued_.empty(); }
    /// Moves the oldest queued write into the store; returns its number.
    uint64_t store_next();
    /// No entry from here on is both stored and final: a queued write will replace it.
    uint64_t settled_next() const;
    uint64_t last_stored_write() const { return last_stored_write_; }

    bool has_unsynced() const { return !unsynced_.empty(); }
    /// Makes up to `operations` more of what is stored durable.
    void sync(uint64_t operations);
    uint64_t durable_index() const;

    /// Drops entries up to `last`.
    void compact(uint64_t last);
    /// A snapshot up to `last` became the state; `all`: no entry of the log is kept.
    void install(uint64_t last, bool all);
    /// Takes entries packed by `pack` in place of everything from `first` on; durable at once.
    /// False: they would leave a hole.
    bool install_pack(uint64_t first, nuraft::buffer& pack);
    void add_snapshot(const snapshot_image& image);
    nuraft::ptr<nuraft::snapshot> last_snapshot() const;
    uint64_t snapshot_index() const;

    /// The server lost power.
    void crash(dice& d);

    /// The log as the protocol has to see it: stored entries overlaid with queued writes. Null if
    /// there is none at `index`.
    const stored_entry* logical_at(uint64_t index) const;
    uint64_t logical_next() const;
    /// Null: not durable (or compacted).
    const stored_entry* durable_at(uint64_t index) const;
    uint64_t durable_start() const { return durable_start_; }
    uint64_t durable_next() const { return durable_start_ + durable_.size(); }

private:
    struct queued_write {
        uint64_t number;
        uint64_t first;
        std::vector<stored_entry> entries;
    };
    struct operation {
        bool truncate;
        uint64_t index;
        stored_entry entry;
    };

    void apply_to_disk(const operation& op);

    std::deque<queued_write> queued_;
    std::deque<stored_entry> stored_;
    uint64_t start_ = 1;
    uint64_t last_stored_write_ = 0;
    std::deque<operation> unsynced_;
    std::deque<stored_entry> durable_;
    uint64_t durable_start_ = 1;
};

}  // namespace sim
