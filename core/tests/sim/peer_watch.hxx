#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "protocol/raft.hxx"

namespace sim {

class cluster;
class sim_server;

/// Watches what leaders do with each of their peers: invariants 27 to 29 of behaviour 39.
/// Throws `violation`.
class peer_watch {
public:
    explicit peer_watch(cluster& world) : world_(world) {}

    /// A request leaves; the step that made it is over.
    void sending(const sim_server& s, const nuraft::protocol::outgoing& o);
    /// After the step's effects were carried out.
    void executed(const sim_server& s, const nuraft::protocol::input& in);
    /// Everybody agrees and nobody sends entries any more.
    void idle(const sim_server& s) const;

private:
    using pair = std::pair<int32_t, int32_t>;  ///< Leader and peer.
    struct stream {
        uint64_t life;
        uint64_t epoch;
        uint64_t end;  ///< Last index that was sent.
    };
    /// When, on the leader's clock; kept for one leadership.
    struct leadership {
        uint64_t life = 0;
        uint64_t term = 0;
        int32_t voters = 0;
        nuraft::protocol::time_ms voters_since = 0;
        std::map<int32_t, nuraft::protocol::time_ms> heard;  ///< Or known since.
    };

    void check_stream(const sim_server& s, const nuraft::protocol::peer_progress& p);
    void check_bytes(const sim_server& s, const nuraft::protocol::peer_progress& p) const;
    void hear(const sim_server& s, const nuraft::protocol::input& in);
    void check_expiry(const sim_server& s) const;

    cluster& world_;
    std::map<pair, stream> streams_;
    std::map<int32_t, leadership> leaderships_;
};

}  // namespace sim
