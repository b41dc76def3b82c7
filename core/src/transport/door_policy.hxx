#pragma once

#include <atomic>
#include <cstdint>

#include "transport/frame_budget.hxx"
#include "transport/wire_format.hxx"

namespace nuraft {
namespace transport {

/// What a listener puts up with. Whoever connects may be a stranger: until a session has delivered
/// its first request that fits the wire format it is treated as one.
///
/// The requests that the sessions of a listener hold take no more memory, whatever is sent, than
///
///     strangers_bytes_max + members_bytes_max + sessions_max * frame_body::first_piece_size
///
/// and half as much again for a moment while a body moves to larger memory, or twice while it is
/// taken apart. Memory is taken when bytes have arrived, never because a header announces them.
struct door_limits {
    /// Connections served at once.
    size_t sessions_max = 256;
    /// Bytes of frames that are not complete yet, of all sessions that are strangers. The first
    /// frame of a connection cannot be larger; larger ones than this come to be only when a
    /// follower is far behind, on a connection that has been in use.
    size_t strangers_bytes_max = 64 << 20;
    /// Bytes of the other sessions' frames, of complete ones until they are answered. As much as
    /// the largest frame there may be.
    size_t members_bytes_max = max_body_size;
    /// How long the next piece of a body may take (see `frame_body`), in milliseconds.
    int stall_ms = 30000;
};

/// The limits of a listener, and what its sessions have taken of them. Thread-safe.
class door_policy {
public:
    explicit door_policy(const door_limits& l)
        : limits(l), strangers(l.strangers_bytes_max), members(l.members_bytes_max) {}

    const door_limits limits;
    frame_budget strangers;
    frame_budget members;

    /// Numbers the requests of all sessions: a later one has a higher number, from 1.
    uint64_t next_request() { return ++requests_; }

private:
    std::atomic<uint64_t> requests_{0};
};

}  // namespace transport
}  // namespace nuraft
