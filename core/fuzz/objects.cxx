#include <stdexcept>

#include "cluster_config.hxx"
#include "log_entry.hxx"
#include "snapshot.hxx"
#include "snapshot_sync_req.hxx"
#include "srv_config.hxx"
#include "srv_state.hxx"
#include "targets.hxx"

namespace fuzz {

using namespace nuraft;

namespace {

/// What was read, serialized again, and how many of its bytes may differ from those that were read
/// because several values mean the same (flags, booleans).
struct rewritten {
    ptr<buffer> bytes;
    size_t lenient = 0;
};

rewritten server(buffer& from) {
    return {srv_config::deserialize(from)->serialize(), 1};
}

/// Bytes of a configuration of which several values mean the same: async replication, each
/// member's flags, and a negative count.
size_t lenient_bytes(const cluster_config& config) {
    return 1 + (config.get_servers().empty() ? 4 : config.get_servers().size());
}

rewritten configuration(buffer& from) {
    ptr<cluster_config> config = cluster_config::deserialize(from);
    return {config->serialize(), lenient_bytes(*config)};
}

rewritten state(buffer& from) {
    const size_t size = from.size();
    ptr<srv_state> s = srv_state::deserialize(from);
    if (size <= 12) return {s->serialize_v0(), 0};
    // The version byte, three booleans, and the two of them that may be missing.
    return {size == 14 ? s->serialize_v1p(1) : s->serialize(), 4};
}

rewritten meta(buffer& from) {
    ptr<snapshot> s = snapshot::deserialize(from);
    return {s->serialize(), lenient_bytes(*s->get_last_config())};
}

rewritten object(buffer& from) {
    ptr<snapshot_sync_req> r = snapshot_sync_req::deserialize(from);
    return {r->serialize(), 1 + lenient_bytes(*r->get_snapshot().get_last_config())};
}

rewritten entry(buffer& from) {
    return {log_entry::deserialize(from)->serialize(), 0};
}

constexpr rewritten (*kinds[])(buffer&) = {server, configuration, state, meta, object, entry};

ptr<buffer> to_buffer(const uint8_t* data, size_t size) {
    ptr<buffer> bytes = buffer::alloc(size);
    bytes->put_raw(data, size);
    bytes->pos(0);
    return bytes;
}

bool same(const buffer& a, const buffer& b) {
    return a.size() == b.size() &&
           std::equal(a.data_begin(), a.data_begin() + a.size(), b.data_begin());
}

}  // namespace

void objects(const uint8_t* data, size_t size) {
    if (size == 0) return;
    const auto read = kinds[data[0] % (sizeof kinds / sizeof kinds[0])];
    ptr<buffer> from = to_buffer(data + 1, size - 1);
    rewritten once;
    try {
        once = read(*from);
    } catch (const std::runtime_error&) {
        return;  // Refused, the right way; an overrun is one of these.
    }
    size_t differences = 0;
    for (size_t i = 0; i < once.bytes->size(); ++i) {
        const bool differs =
            i >= from->size() || once.bytes->data_begin()[i] != from->data_begin()[i];
        differences += differs;
    }
    require(differences <= once.lenient, differences, " bytes of an object change");

    ptr<buffer> copy = buffer::clone(*once.bytes);
    const rewritten twice = read(*copy);
    require(same(*once.bytes, *twice.bytes), "an object changes when it is read again");
}

}  // namespace fuzz
