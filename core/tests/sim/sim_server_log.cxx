#include <algorithm>

#include "cluster.hxx"
#include "describe.hxx"
#include "sim_server.hxx"

// The log, the state machine and the snapshots of a simulated server.

namespace sim {

using namespace nuraft;

namespace {

ptr<snapshot> copy_snapshot(snapshot& meta) {
    return snapshot::deserialize(*meta.serialize());
}

/// The state is handed over in shares whose exclusive-or is the hash, so that a missing, repeated
/// or foreign object gives a wrong state.
uint64_t share_of(const machine_state& state, uint64_t object, uint64_t objects) {
    if (object + 1 < objects) return mix(state.hash, object);
    uint64_t last = state.hash;
    for (uint64_t i = 0; i + 1 < objects; ++i) last ^= mix(state.hash, i);
    return last;
}

}  // namespace

void sim_server::write(const protocol::log_write& w) {
    world_.check().writing(*this, w);
    if (w.discarded_end > w.first) ++world_.count().truncations;
    disk_.queue(w);
    schedule_store();
}

void sim_server::schedule_store() {
    if (store_scheduled_ || disk_failed_ || !disk_.has_queued()) return;
    store_scheduled_ = true;
    const time_us longest = world_.opts().store_delay * (world_.chaos() ? slowness_ : 1);
    const uint64_t life = life_;
    world_.events().after(world_.chance().between(0, longest), [this, life] {
        if (life == life_ && running()) store_some();
    });
}

void sim_server::store_some() {
    store_scheduled_ = false;
    if (disk_failed_) return;
    // The log store works on while the rest of a stalled server does not.
    const uint64_t life = life_;
    do {
        if (!disk_.has_queued()) break;
        post(life, protocol::inputs::log_stored{disk_.store_next()});
    } while (life == life_ && world_.chance().coin());
    if (life != life_) return;
    schedule_store();
    schedule_sync();
    schedule_apply();
}

void sim_server::schedule_sync() {
    if (sync_scheduled_ || disk_failed_ || !disk_.has_unsynced()) return;
    sync_scheduled_ = true;
    const time_us longest = world_.opts().sync_delay * (world_.chaos() ? slowness_ : 1);
    const uint64_t life = life_;
    world_.events().after(world_.chance().between(0, longest), [this, life] {
        if (life == life_ && running()) sync_some();
    });
}

void sim_server::sync_some() {
    sync_scheduled_ = false;
    if (disk_failed_) return;
    disk_.sync(1 + world_.chance().below(20));
    // The report may be overtaken by later writes: it says which ones it has seen.
    const protocol::inputs::log_durable report{disk_.durable_index(), disk_.last_stored_write()};
    schedule_sync();
    const uint64_t life = life_;
    if (world_.chaos() && world_.chance().chance(1000)) {
        world_.events().after(world_.chance().between(0, 20 * ms),
                              [this, life, report] { post(life, report); });
    } else {
        post(life, report);
    }
    if (life == life_) schedule_apply();
}

void sim_server::schedule_apply() {
    if (apply_scheduled_) return;
    apply_scheduled_ = true;
    const uint64_t life = life_;
    const time_us delay = world_.chance().between(0, world_.opts().apply_delay);
    world_.events().after(delay + stalled_for(), [this, life] {
        if (life == life_ && running()) apply_some();
    });
}

void sim_server::apply_some() {
    apply_scheduled_ = false;
    const uint64_t life = life_;
    for (uint64_t batch = 1 + world_.chance().below(10); batch > 0; --batch) {
        if (!apply_next() || life != life_) return;
    }
    schedule_apply();
}

bool sim_server::apply_next() {
    const uint64_t index = machine_.index + 1;
    if (installing_ || index > may_apply_ || index >= disk_.settled_next()) return false;
    if (world_.opts().machine_is_durable && index > disk_.durable_index()) return false;
    if (index < disk_.start_index()) {
        fail("server ", id_, " compacted entry ", index, " before applying it");
    }
    const ptr<log_entry> entry = disk_.entries(index, index + 1, 0)->front();
    machine_.hash = mix(mix(machine_.hash, index), content_hash(*entry));
    machine_.index = index;
    if (world_.opts().machine_is_durable && !outsider_) disk_.machine = machine_;
    world_.check().applied(*this, machine_);
    complete_waiter(index);
    maybe_create_snapshot();
    if (node_->awaits_own_machine()) input(protocol::inputs::applied{index});
    return true;
}

void sim_server::complete_waiter(uint64_t index) {
    auto found = waiters_.find(index);
    if (found == waiters_.end()) return;
    const waiter w = found->second;
    waiters_.erase(found);
    for (uint64_t i = w.first; i <= w.last; ++i) {
        // Compacted in the meantime: the record of all that was committed still knows it.
        world_.check().acknowledged(i, w.op->hashes[i - w.first]);
    }
    if (w.op->acknowledged) fail("operation ", w.op->number, " completed twice");
    w.op->acknowledged = true;
    ++world_.count().acknowledged;
}

void sim_server::maybe_create_snapshot(bool wanted) {
    const int32_t distance = wanted ? 1 : params_.snapshot_distance_;
    const uint64_t index = machine_.index;
    if (distance <= 0 || creating_snapshot_ || installing_ || outsider_) return;
    if (index < disk_.snapshot_index() + static_cast<uint64_t>(distance)) return;
    ptr<cluster_config> config = node_->config_at(index);
    if (!config) fail("server ", id_, " knows no configuration for a snapshot at ", index);
    // A server that joined knows none older than the one it was invited with (behaviour 23.2).
    if (config->get_log_idx() > std::max(index, world_.check().committed())) {
        fail("server ", id_, " gives the uncommitted configuration ", config->get_log_idx(),
             " for a snapshot at ", index);
    }
    creating_snapshot_ = true;
    snapshot_image image;
    image.meta = copy_snapshot(*cs_new<snapshot>(index, disk_.term_at(index), config));
    image.state = machine_;
    later_do(world_.chance().between(0, 50 * ms), [this, image] { finish_snapshot(image); });
}

void sim_server::finish_snapshot(const snapshot_image& image) {
    const uint64_t index = image.state.index;
    // A snapshot must not be ahead of the log that survives: both begin anew from it.
    if (disk_.durable_index() < index && disk_.snapshot_index() < index && !installing_) {
        later_do(5 * ms, [this, image] { finish_snapshot(image); });
        return;
    }
    creating_snapshot_ = false;
    if (installing_ || index <= disk_.snapshot_index()) return;
    disk_.add_snapshot(image);
    ++world_.count().snapshots_created;
    const uint64_t life = life_;
    input(protocol::inputs::snapshot_created{image.meta});
    const uint64_t reserved = static_cast<uint64_t>(params_.reserved_log_items_);
    if (life == life_ && index > reserved) disk_.compact(index - reserved);
}

void sim_server::read(const protocol::read_object& r) {
    auto known = transfers_.find(r.transfer);
    if (known != transfers_.end() && known->second) {
        fail("server ", id_, " reads for transfer ", r.transfer, " which it freed");
    }
    transfers_[r.transfer] = false;
    protocol::inputs::object_read in;
    in.transfer = r.transfer;
    in.object = r.object;
    const uint64_t objects = world_.opts().snapshot_objects;
    for (const snapshot_image& image : disk_.snapshots) {
        if (image.meta->get_last_log_idx() != r.meta->get_last_log_idx()) continue;
        if (world_.chance().chance(world_.rate(world_.opts().read_failures))) continue;
        if (r.object >= objects) continue;
        in.data = buffer::alloc(sz_ulong);
        in.data->put(share_of(image.state, r.object, objects));
        in.data->pos(0);
        in.last = r.object + 1 == objects;
    }
    later_do(world_.chance().between(0, 5 * ms), [this, in] { input(in); });
}

void sim_server::save_object(const protocol::save_object& s) {
    later_do(world_.chance().between(0, 10 * ms), [this, s] {
        const uint64_t index = s.object->get_snapshot().get_last_log_idx();
        if (s.object->get_offset() == 0) {
            received_objects_.clear();
            receiving_snapshot_ = index;
        }
        if (receiving_snapshot_ != index || s.object->get_offset() != received_objects_.size()) {
            input(protocol::inputs::object_saved{s.request, false, 0, false});
            return;
        }
        buffer& data = s.object->get_data();
        data.pos(0);
        received_objects_.push_back(data.get_ulong());
        if (!s.object->is_done()) {
            input(protocol::inputs::object_saved{s.request, true, received_objects_.size(), false});
            return;
        }
        machine_state state{index, 0};
        for (uint64_t share : received_objects_) state.hash ^= share;
        received_objects_.clear();
        install(s, state);
    });
}

void sim_server::install(const protocol::save_object& s, const machine_state& state) {
    // First the state, then the log: power may fail in between, and the saved state must tell
    // (B30).
    if (!disk_.state.receiving_snapshot) {
        fail("server ", id_, " installs a snapshot and has not saved that it receives one");
    }
    installing_ = true;
    machine_ = state;
    disk_.machine = state;
    disk_.add_snapshot({copy_snapshot(s.object->get_snapshot()), state});
    world_.check().applied(*this, machine_);
    later_do(world_.chance().between(0, 5 * ms), [this, s, state] {
        const uint64_t life = life_;
        while (disk_.has_queued()) {
            input(protocol::inputs::log_stored{disk_.store_next()});
            if (life != life_) return;
        }
        // Raft figure 13: a log is kept only if it agrees with the snapshot.
        const disk::stored_entry* last = disk_.logical_at(state.index);
        if (!s.discard_log && last &&
            last->term() != s.object->get_snapshot().get_last_log_term()) {
            fail("server ", id_, " keeps a log that disagrees with the snapshot at ", state.index);
        }
        disk_.install(state.index, s.discard_log);
        installing_ = false;
        may_apply_ = std::max(may_apply_, state.index);
        ++world_.count().snapshots_installed;
        input(
            protocol::inputs::object_saved{s.request, true, world_.opts().snapshot_objects, true});
        if (life == life_) schedule_apply();
    });
}

void sim_server::install_pack(const protocol::install_pack& p) {
    later_do(world_.chance().between(0, 10 * ms), [this, p] {
        const uint64_t life = life_;
        while (disk_.has_queued()) {
            input(protocol::inputs::log_stored{disk_.store_next()});
            if (life != life_) return;
        }
        ++world_.count().packs;
        const bool ok = disk_.install_pack(p.first, *p.pack);
        input(protocol::inputs::pack_installed{p.request, ok});
    });
}

}  // namespace sim
