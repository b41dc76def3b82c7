#pragma once

#include <cstdint>

#include "cluster_config.hxx"
#include "ptr.hxx"
#include "srv_role.hxx"

namespace nuraft {

/// What getters see of a server: a copy made after each step, so that they never wait for one.
struct server_status {
    srv_role role = srv_role::follower;
    uint64_t term = 0;
    int32_t leader = -1;
    bool leader_alive = false;
    bool initialized = false;
    bool catching_up = false;
    bool receiving_snapshot = false;
    uint64_t commit_index = 0;
    uint64_t leader_commit_index = 0;
    uint64_t last_log_index = 0;
    uint64_t index_at_becoming_leader = 0;
    bool awaits_own_machine = false;  ///< Elected, but does not show itself as leader yet.
    bool quorum_is_adjusted = false;
    bool excluded_by_leader = false;
    bool marked_down = false;
    uint64_t snapshot_index = 0;
    ptr<cluster_config> config;  ///< Never null.

    bool leads(int32_t id) const {
        return role == srv_role::leader && leader == id && !awaits_own_machine;
    }
};

}  // namespace nuraft
