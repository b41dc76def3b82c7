#pragma once

#include <cstdint>

#include "raft_params.hxx"

namespace nuraft {
namespace protocol {

/// Milliseconds on a monotonic clock that the caller reads; the protocol never reads one.
using time_ms = int64_t;

/// The largest term or index that is believed. A greater one is a lie: no cluster counts that far,
/// and one that was led there could count no further.
constexpr uint64_t largest_number = UINT64_MAX / 2;

/// The multipliers and counts of `raft_server::limits` that the rules use, as plain values of one
/// server (behaviour 1.3; units are there).
struct rule_limits {
    int32_t pre_vote_rejection = 20;
    int32_t warning = 20;
    int32_t response = 20;
    int32_t leadership = 20;
    int32_t reconnect = 50;
    int32_t leave = 5;
    int32_t vote = 5;
    int32_t busy_connection = 20;
    int32_t full_consensus_leader = 4;
    int32_t full_consensus_follower = 2;
};

/// Both quorum sizes of a cluster of two while one of them goes on alone (behaviour 20).
constexpr int32_t adjusted_quorum_size = 1;

/// What one server of the protocol is told once, or again through `inputs::settings_changed`.
struct settings {
    int32_t id = 0;
    raft_params params;
    rule_limits limits;
};

}  // namespace protocol
}  // namespace nuraft
