#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cluster_config.hxx"
#include "ptr.hxx"
#include "srv_config.hxx"

namespace nuraft {
namespace protocol {

/// Arithmetic on configurations: pure functions that know nothing of messages or roles. All of
/// them copy; a configuration is never changed once it is shared.

/// A deep copy, log indexes included.
ptr<cluster_config> copy_of(const cluster_config& config);

/// A deep copy with `server` added, or put in the place of the one with the same id.
ptr<cluster_config> with_server(const cluster_config& config, const srv_config& server);

/// A deep copy without that server.
ptr<cluster_config> without_server(const cluster_config& config, int32_t id);

/// A deep copy in which `change` was applied to that server, if it is there.
ptr<cluster_config> with_change(const cluster_config& config, int32_t id,
                                const std::function<void(srv_config&)>& change);

/// Do both name the same (id, endpoint) pairs, leaving out server `except`?
bool same_members(const cluster_config& a, const cluster_config& b, int32_t except = -1);

/// Votes and counts: neither a learner nor a new joiner.
bool is_regular(const srv_config& server);

/// How many vote in it.
int32_t voters_of(const cluster_config& config);

/// Does everybody who votes in `before` vote in `after` too?
bool keeps_voters(const cluster_config& before, const cluster_config& after);

/// Do the same servers vote in both?
bool same_voters(const cluster_config& a, const cluster_config& b);

/// Does anybody vote in it? A configuration without voters could never be left again.
bool has_voters(const cluster_config& config);

/// How many of `voters` make a quorum: `custom` if it is in 1..voters, else a majority
/// (behaviour 15.1).
int32_t quorum_of(int32_t voters, int32_t custom);

}  // namespace protocol
}  // namespace nuraft
