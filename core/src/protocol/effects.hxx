#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "async.hxx"
#include "buffer.hxx"
#include "cluster_config.hxx"
#include "log_entry.hxx"
#include "protocol/hard_state.hxx"
#include "protocol/inputs.hxx"
#include "raft_server.hxx"
#include "req_msg.hxx"
#include "resp_msg.hxx"
#include "snapshot.hxx"
#include "snapshot_sync_req.hxx"

namespace nuraft {
namespace protocol {

/// Entries for the log store: everything from `first` on is replaced by `entries`.
/// Comes back as `log_stored`, and `log_durable` once it is on disk.
struct log_write {
    uint64_t number = 0;
    uint64_t first = 0;
    /// Indexes that this write discards, [first, discarded_end); empty when nothing is.
    uint64_t discarded_end = 0;
    std::vector<ptr<log_entry>> entries;
    /// What `end_of_append_batch` is told: a request's range, entries skipped as duplicates too.
    uint64_t batch_first = 0;
    uint64_t batch_count = 0;
    bool from_client = false;  ///< The entries of one proposal on the leader.
    uint64_t proposal = 0;     ///< Its number.
};

/// Work on connections to other servers; done before anything is sent.
struct connection_change {
    enum kind {
        open,     ///< A new peer, or a joining one.
        replace,  ///< Drop the present connection and dial anew at the next send.
        close,    ///< The peer is gone.
    };
    kind what = open;
    int32_t peer = -1;
    std::string endpoint;
};

/// A request to another server. Comes back as `response` or `send_failed` with its number.
struct outgoing {
    uint64_t number = 0;
    int32_t peer = -1;
    ptr<req_msg> msg;
};

/// The answer to `inputs::request`. Null: give none, so that the sender sees an error.
struct reply {
    uint64_t request = 0;
    ptr<resp_msg> msg;
};

/// The answer to a proposal or to an administrative input.
struct answer {
    uint64_t number = 0;
    cmd_result_code code = cmd_result_code::OK;
    bool accepted = false;
    uint64_t first_index = 0;  ///< Of a proposal: its entries are [first_index, last_index].
    uint64_t last_index = 0;
    uint64_t term = 0;
    raft_server::PrioritySetResult priority = raft_server::PrioritySetResult::IGNORED;
};

/// The answer to `inputs::read_index`. No index: this server does not lead, or not any more.
struct read_answer {
    uint64_t number = 0;
    std::optional<uint64_t> index;
};

struct timer_change {
    timer_kind kind = timer_kind::election;
    int32_t peer = -1;
    int32_t delay_ms = -1;  ///< Negative: cancel.
};

/// The candidate of the quorum rule, for `state_machine::adjust_commit_index`. The caller answers
/// with `commit_answer` before any other input.
struct commit_question {
    uint64_t current = 0;
    uint64_t expected = 0;
    std::unordered_map<int, uint64_t> indexes;
};

/// Which term should a candidate for leadership after term `current` take (behaviour 2.3)? The
/// caller answers with `term_answer` before any other input.
struct term_question {
    uint64_t current = 0;
};

/// Read one object of a snapshot for a peer. The user's context belongs to `transfer`.
struct read_object {
    uint64_t transfer = 0;
    int32_t peer = -1;
    ptr<snapshot> meta;
    uint64_t object = 0;
};

/// Store one object of a snapshot that a leader sends. After the last one the caller also pauses
/// applying, installs the snapshot in the state machine, drops what the log holds of it
/// (`discard_log`: all of the log, because it disagrees with the snapshot), and answers.
struct save_object {
    uint64_t request = 0;
    ptr<req_msg> msg;
    ptr<snapshot_sync_req> object;
    bool discard_log = false;
};

/// Hand `pack` to `log_store::apply_pack` at index `first` and make it durable (behaviour 25.4).
/// Answered by `pack_installed`. Only on a server that is joining.
struct install_pack {
    uint64_t request = 0;
    uint64_t first = 0;
    ptr<buffer> pack;
};

/// Something the program may want to hear of (behaviour 35), or that it must react to.
struct notice {
    enum kind {
        became_leader,
        leader_catching_up,  ///< Elected; `became_leader` follows once the state machine is there.
        became_follower,
        append_response,  ///< peer, index = match.
        heartbeat,        ///< peer, index = last log index.
        config_active,    ///< config took effect; it was saved before.
        joined_cluster,   ///< config.
        removed_from_cluster,
        out_of_log_range,    ///< index = first index of the leader's log.
        server_join_failed,  ///< peer.
        follower_lost,       ///< peer.
        leadership_expired,  ///< The quorum is silent: ask the program, then `yield` immediately.
        resign_wanted,       ///< A hand-over is wanted by rule; peer = successor, -1 if none.
        misbehaving_leader,  ///< Another leader in this term; msg.
        transfer_wanted,     ///< Automatic hand-over to peer: ask allow_leadership_transfer too.
        bad_message,         ///< peer sent what no honest server sends; text says what.
        snapshot_wanted,     ///< A peer needs a snapshot newer than ours: create one.
        quorum_adjustment_wanted,  ///< The other of two voters is away: ask, then `adjust_quorum`.
        isolated,                  ///< N22: this server cannot hear a leader that a quorum hears.
        halt,                      ///< A rule of the protocol was broken; code says which.
    };
    kind what = became_follower;
    uint64_t term = 0;
    uint64_t index = 0;
    int32_t peer = -1;
    int32_t leader = -1;  ///< As known when the notice was made.
    int code = 0;         ///< Of halt: a raft_err.
    std::string text;
    ptr<cluster_config> config;
    ptr<req_msg> msg;
};

/// What one step wants done, in the order of the fields. Nothing here was done yet; the caller
/// finishes one step's effects before it starts on the next step's.
struct effects {
    std::optional<hard_state> save;   ///< Durable before anything below.
    ptr<cluster_config> save_config;  ///< Likewise.
    std::vector<answer> answers;      ///< Already decided; deliver refusals, register the accepted.
    std::vector<notice> notices;
    /// The single-server log of a joining server is superseded: applying starts over behind here.
    std::optional<uint64_t> applied_reset;
    std::optional<log_write> write;  ///< May still be on its way to the disk while we go on.
    std::vector<timer_change> timers;
    std::vector<connection_change> connections;
    /// Requests vouch for no entry of the sender's own log, so they may leave while the write is
    /// under way (Raft dissertation 10.2.1).
    std::vector<outgoing> send;
    /// Answers that vouch for stored entries are held back by the protocol until `log_durable`, so
    /// everything here may go out at once.
    std::vector<reply> replies;
    std::vector<read_answer> read_answers;
    std::vector<read_object> reads;
    std::vector<save_object> saves;
    std::optional<install_pack> pack;
    std::vector<uint64_t> freed_transfers;
    std::optional<uint64_t> commit;  ///< Everything up to here may be applied.
    std::optional<commit_question> question;
    std::optional<term_question> candidacy;
    bool replicate_wanted = false;  ///< Feed `replicate` once no more proposals are waiting.
};

}  // namespace protocol
}  // namespace nuraft
