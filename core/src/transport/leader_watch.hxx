#pragma once

#include "basic_types.hxx"
#include "msg_type.hxx"

namespace nuraft {
namespace transport {

/// Tells when the other end of a connection begins to speak as leader: with the first message that
/// only leaders send, and again when it does so after it lost leadership. Knows nothing of time or
/// threads.
class leader_watch {
public:
    /// A message of `type` came from server `src`, while this server takes `leader` for the leader
    /// (-1: none). True if a session from a leader begins with it.
    bool begins_session(msg_type type, int32 src, int32 leader) {
        // A server that asks for votes leads no more; and one that was known as leader and is not
        // known as such now has been replaced. Until its first message is accepted a new leader is
        // not known, so that alone means nothing.
        if (asks_for_votes(type) || (known_ && leader != src)) speaks_as_leader_ = known_ = false;
        if (speaks_as_leader_ && leader == src) known_ = true;
        if (speaks_as_leader_ || !only_from_leader(type)) return false;
        speaks_as_leader_ = true;
        known_ = leader == src;
        return true;
    }
    bool speaks_as_leader() const { return speaks_as_leader_; }

private:
    static bool asks_for_votes(msg_type type) {
        return type == request_vote_request || type == pre_vote_request;
    }
    static bool only_from_leader(msg_type type) {
        switch (type) {
            case append_entries_request:
            case sync_log_request:
            case join_cluster_request:
            case leave_cluster_request:
            case install_snapshot_request:
            case priority_change_request:
            case custom_notification_request:
                return true;
            default:
                return false;
        }
    }

    bool speaks_as_leader_ = false;
    bool known_ = false;  ///< This server has taken the other end for the leader since then.
};

}  // namespace transport
}  // namespace nuraft
