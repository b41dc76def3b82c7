#pragma once

#include <cstdint>
#include <memory>

#include "buffer.hxx"
#include "cluster_config.hxx"
#include "msg_type.hxx"
#include "protocol/settings.hxx"
#include "req_msg.hxx"
#include "snapshot.hxx"
#include "srv_config.hxx"

namespace nuraft {
namespace protocol {

/// A request whose answer has not come yet.
struct sent_request {
    int32_t peer = -1;
    msg_type type = msg_type::append_entries_request;
    bool ordinary = false;  ///< Holds the peer's busy token; streamed requests do not.
    uint64_t first = 0;     ///< Of an append: index of its first entry.
    uint64_t count = 0;     ///< Of an append: number of entries.
    int64_t bytes = 0;      ///< Of an append: payload bytes.
    uint64_t commit = 0;    ///< Commit index that the request carried.
    uint64_t stream_epoch =
        0;  ///< Of a streamed append: refusals from an older epoch say nothing new.
};

/// One snapshot on its way to one peer (behaviour 24).
struct snapshot_transfer {
    uint64_t number = 0;  ///< Names the user's context in the caller's hands.
    ptr<snapshot> meta;
    uint64_t object = 0;      ///< The one to send next, or under way.
    bool reading = false;     ///< Asked of the caller, not here yet.
    ptr<buffer> data;         ///< Read, waiting for the peer to be free.
    bool last = false;        ///< `data` is the last object.
    time_ms progress_at = 0;  ///< When `object` last changed.
};

/// What the leader knows of one other server, and the state of the connection to it. Every server
/// keeps one for each peer; candidates use the connection part.
struct peer_progress {
    ptr<srv_config> server;
    int32_t id = -1;

    // Position in the log (Raft figure 2: nextIndex, matchIndex).
    uint64_t next = 0;   ///< First index to send; 0: unknown, start at our own end.
    uint64_t match = 0;  ///< Highest index known to be the same here and there, and durable there.
    uint64_t last_accepted = 0;
    uint64_t commit_seen = 0;     ///< It knows, for good, that everything up to here is committed.
    uint64_t applied = 0;         ///< What it says its state machine has applied; 0: not said.
    int32_t ask_again_ms = 0;     ///< Present wait between two questions for that.
    bool marked_down = false;     ///< It declares itself down (behaviour 19.1).
    uint64_t rewind = 1;          ///< Length of the next step back when the refusal gives no hint.
    int64_t size_hint = 0;        ///< Bytes the peer wants in a batch; negative: none for now.
    bool commit_pending = false;  ///< A commit could not be announced; send when free.
    uint64_t last_append = 0;     ///< Number of the last append sent.
    uint64_t sent_for_reads = 0;  ///< Of the last one while reads waited for the peer.
    uint64_t confirmed = 0;       ///< Of the newest request that it answered in our term.
    uint64_t last_first = 0;      ///< First index of the last append, for retry throttling.
    int32_t same_first = 0;

    // Streaming (behaviour 14).
    bool streaming = false;
    uint64_t stream_position = 0;  ///< Last index sent.
    uint64_t stream_epoch = 0;     ///< Counts how often streaming ended.
    int64_t bytes_in_flight = 0;

    // Connection.
    bool busy = false;       ///< One ordinary request is unanswered.
    int32_t unanswered = 0;  ///< Requests on their way, streamed ones too.
    bool broken = false;
    time_ms next_dial = 0;
    int32_t dial_gap_ms = 0;
    time_ms redial_at = -1;  ///< The peer asked for a new connection then; -1: no.
    time_ms last_activity = 0;
    time_ms last_response = 0;
    int32_t errors = 0;
    bool lost = false;

    // Heartbeats.
    bool heartbeat_on = false;
    int32_t heartbeat_ms = 0;

    // Snapshot.
    bool snapshot_needed = false;
    std::unique_ptr<snapshot_transfer> transfer;

    // Leaving (behaviour 26).
    bool leave_requested = false;
    bool leave_unsent = false;
    int32_t heartbeats_since_leave = 0;
    bool knows_removal = false;  ///< A request that covers the removal's commit was sent.
};

/// A peer as shown to the program.
struct peer_view {
    int32_t id = -1;
    uint64_t last_accepted = 0;
    uint64_t match = 0;
    uint64_t next = 0;
    uint64_t applied = 0;  ///< As it reports; 0: not tracked, or not reported yet.
    time_ms since_last_response = 0;
    bool receiving_snapshot = false;
};

/// What else a server shows of itself, to programs that look inside.
struct inner_view {
    int32_t voters = 0;
    int32_t my_priority = 0;
    int32_t target_priority = 0;
    int32_t votes_responded = 0;
    int32_t votes_granted = 0;
    bool voting = false;  ///< A vote of ours is open.
    bool learner = false;
    bool out_of_log_range = false;
    int32_t steps_to_leave = 0;
    bool writes_paused = false;
    int32_t successor = -1;
    int32_t leaving = -1;
    uint64_t leaving_index = 0;
    ptr<srv_config> joining;          ///< Null: nobody joins.
    ptr<cluster_config> uncommitted;  ///< Null: none.
};

}  // namespace protocol
}  // namespace nuraft
