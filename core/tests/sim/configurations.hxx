#pragma once

#include <cstdint>
#include <map>

#include "protocol/raft.hxx"

// What configurations say about the members.

namespace sim {

inline bool is_voter(const nuraft::srv_config& s) {
    return !s.is_learner() && !s.is_new_joiner();
}

/// Who is a member, and who of them votes.
inline std::map<int32_t, bool> members_of(const nuraft::cluster_config& config) {
    std::map<int32_t, bool> found;
    for (const nuraft::ptr<nuraft::srv_config>& s : config.get_servers()) {
        found[s->get_id()] = is_voter(*s);
    }
    return found;
}

/// The configuration that an entry carries.
inline nuraft::ptr<nuraft::cluster_config> config_of(const nuraft::log_entry& entry) {
    nuraft::ptr<nuraft::buffer> payload = nuraft::buffer::clone(entry.get_buf());
    return nuraft::cluster_config::deserialize(*payload);
}

}  // namespace sim
