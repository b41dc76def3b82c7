#pragma once

// An addition of raft3d's core: NuRaft has neither this header nor what it declares. A program that
// is to be built against either asks `__has_include(<libnuraft/read_index.hxx>)`, and without it
// reads through the log, by an entry that changes nothing.

#include <cstdint>

#include "async.hxx"
#include "ptr.hxx"

namespace nuraft {

class raft_server;

/// For a linearizable read on `server` without an entry in the log (Ongaro's dissertation, 6.4):
/// whoever has applied the index in the result (`wait_for_state_machine_commit`) sees every write
/// that any server had acknowledged when this was called. It costs the leader one message to each
/// member and the answers of a majority, shared by the reads that wait at the same time; a follower
/// asks the leader. No clock is trusted.
///
/// Codes: `OK`; `NOT_LEADER`: no leader is known, or it lost its leadership before a majority had
/// confirmed it; `FAILED`: the question or its answer was lost; `BAD_REQUEST`: the leader does not
/// know the question, as it is NuRaft or an older program; `CANCELLED`: this server stops. After
/// each of them asking again does no harm. There is no timeout: a leader that is cut off answers
/// when it resigns.
///
/// The result is never null. Handlers run in a thread of the server; any thread may call this.
ptr<cmd_result<uint64_t>> read_index(raft_server& server);

}  // namespace nuraft
