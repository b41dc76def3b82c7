// Truncated and damaged bytes end in an exception or in an object, never in a crash. Sanitizers see
// what is read out of bounds.

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "cluster_config.hxx"
#include "hex.hxx"
#include "log_entry.hxx"
#include "objects.hxx"
#include "snapshot.hxx"
#include "snapshot_sync_req.hxx"
#include "srv_config.hxx"
#include "srv_state.hxx"

using namespace nuraft;

namespace {

struct object {
    std::string name;
    std::string hex;
    std::function<void(buffer&)> read;
    /// From this length on a prefix is an object too, because the rest is optional or payload.
    size_t shortest;
};

std::vector<object> objects() {
    const auto server = [](buffer& b) { srv_config::deserialize(b); };
    const auto config = [](buffer& b) { cluster_config::deserialize(b); };
    const auto state = [](buffer& b) { srv_state::deserialize(b); };
    const auto meta = [](buffer& b) { snapshot::deserialize(b); };
    const auto sync = [](buffer& b) { snapshot_sync_req::deserialize(b); };
    const auto entry = [](buffer& b) { log_entry::deserialize(b); };
    return {{"O1", vectors::o1, server, 29}, {"O2", vectors::o2, server, 36},
            {"O3", vectors::o3, server, 15}, {"O4", vectors::o4, config, 89},
            {"O5", vectors::o5, config, 25}, {"O6", vectors::o6, config, 54},
            {"O7", vectors::o7, state, 12},  {"O11", vectors::o11, meta, 79},
            {"O12", vectors::o12, meta, 79}, {"O13", vectors::o13, sync, 88},
            {"O14", vectors::o14, sync, 88}, {"O15", vectors::o15, entry, 9}};
}

/// Of exactly that length, so that a sanitizer sees the first byte read behind it.
ptr<buffer> prefix(const std::string& hex, size_t len) {
    return from_hex(hex.substr(0, 2 * len));
}

}  // namespace

TEST(damaged_objects, truncation_at_every_length_throws) {
    for (const object& o : objects()) {
        for (size_t len = 0; len < o.shortest; ++len) {
            EXPECT_THROW(o.read(*prefix(o.hex, len)), std::overflow_error)
                << o.name << " cut to " << len;
        }
        for (size_t len = o.shortest; len <= o.hex.size() / 2; ++len) {
            EXPECT_NO_THROW(o.read(*prefix(o.hex, len))) << o.name << " cut to " << len;
        }
    }
}

TEST(damaged_objects, truncated_versioned_states_throw) {
    for (const std::string& hex : {vectors::o8, vectors::o9, vectors::o10}) {
        for (size_t len = 0; len < 14; ++len) {
            EXPECT_THROW(srv_state::deserialize_v1p(*prefix(hex, len)), std::overflow_error)
                << hex << " cut to " << len;
        }
    }
    EXPECT_THROW(srv_state::deserialize(*prefix(vectors::o9, 13)), std::overflow_error);
    EXPECT_THROW(srv_state::deserialize_v0(*prefix(vectors::o7, 11)), std::overflow_error);
}

TEST(damaged_objects, noise_throws_or_reads_but_never_crashes) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 dice(seed);
    size_t refused = 0;
    for (int round = 0; round < 2000; ++round) {
        for (const object& o : objects()) {
            ptr<buffer> bytes = from_hex(o.hex);
            for (int flips = 1 + static_cast<int>(dice() % 4); flips > 0; --flips) {
                bytes->data_begin()[dice() % bytes->size()] = static_cast<byte>(dice());
            }
            try {
                o.read(*bytes);
            } catch (const std::overflow_error&) {
                ++refused;
            } catch (const std::runtime_error&) {
                ++refused;
            }
        }
    }
    EXPECT_GT(refused, 0u) << "no damage was noticed";
}

TEST(damaged_objects, lengths_of_gigabytes_are_refused_without_making_room) {
    ptr<buffer> bytes = from_hex(vectors::o5);
    bytes->pos(17);
    bytes->put(static_cast<int32>(-1));
    EXPECT_THROW(cluster_config::deserialize(*bytes), std::overflow_error);
}
