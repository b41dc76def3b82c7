#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "async.hxx"
#include "buffer.hxx"
#include "cluster_config.hxx"
#include "log_entry.hxx"
#include "protocol/settings.hxx"
#include "req_msg.hxx"
#include "resp_msg.hxx"
#include "snapshot.hxx"

namespace nuraft {
namespace protocol {

/// The timers that a server of the protocol asks for. At most one run of each (kind, peer) is
/// pending; arming it again replaces the pending run.
enum class timer_kind {
    election,   ///< No leader was heard for a random time (Raft 5.2).
    heartbeat,  ///< One for each peer while leader.
    retry,      ///< Repeats the invitation of a joining server that could not be reached.
    progress,   ///< Asks a peer again how far its state machine is; one for each peer while leader.
};

/// Everything that can happen to a server of the protocol. Values only: where an input answers an
/// effect it carries that effect's number.
namespace inputs {

/// The caller starts the server: arms the election timer unless `skip_election_timer`, which also
/// forbids it for good until a leader is heard (behaviour 2.2).
struct start {
    bool skip_election_timer = false;
};

/// A timer that was armed by an effect ran out.
struct timer_fired {
    timer_kind kind = timer_kind::election;
    int32_t peer = -1;  ///< Of a heartbeat.
};

/// Another server's request. Answered exactly once, by a `reply` with the same number, perhaps in
/// a later step. Client, add-server and remove-server requests do not come here: the caller turns
/// them into `proposal`, `add_server`, `remove_server`.
struct request {
    uint64_t number = 0;
    ptr<req_msg> msg;
    bool declined = false;  ///< The program declines this append or snapshot object (12.3, 24.3).
};

/// The answer to `outgoing` number `send`.
struct response {
    uint64_t send = 0;
    ptr<resp_msg> msg;
};

/// `outgoing` number `send` will get no answer. `kept_back`: the program vetoed it, so nothing is
/// wrong with the connection.
struct send_failed {
    uint64_t send = 0;
    bool kept_back = false;
};

/// A client's entries, as one batch with consecutive indexes. The step stamps the term. Answered
/// in the same step by `effects::answers`.
struct proposal {
    uint64_t number = 0;
    std::vector<ptr<log_entry>> entries;
    uint64_t expected_term = 0;  ///< 0: any.
};

/// Send what proposals have added since; separate from `proposal` so that many share a message.
struct replicate {
    int32_t peer = -1;  ///< To this one only; -1: all.
};

/// Write `write` has been handed to the log store and can be read there.
struct log_stored {
    uint64_t write = 0;
};

/// Everything up to `index` is durable in a store that has seen writes up to number `write`.
struct log_durable {
    uint64_t index = 0;
    uint64_t write = 0;
};

/// The log store reported a failed write.
struct log_failed {};

/// The program's answer to `effects::commit_question`; may commit less than asked, never more.
struct commit_answer {
    uint64_t index = 0;
};

/// The answer to `effects::term_question`. A term that is not greater than the one asked about is
/// refused: then there is no candidacy this time.
struct term_answer {
    uint64_t term = 0;
};

/// The state machine has applied everything up to `index`. Where several indexes are reported at
/// once, or a report comes with the next other input, nothing is lost but time.
struct applied {
    uint64_t index = 0;
};

/// The program agrees to `notice::quorum_adjustment_wanted` (behaviour 20).
struct adjust_quorum {};

/// This server declares itself down, or up again, for full consensus (behaviour 19.5). A leader
/// ignores it.
struct mark_down {
    bool down = false;
};

/// Somebody wants to read: up to which index must a state machine have applied the log, to show
/// every write that was acknowledged before now? Answered by a `read_answer`, perhaps in a later
/// step.
struct read_index {
    uint64_t number = 0;
};

/// A client waited in vain: is this leader still heard (behaviour 29.1)?
struct check_leadership {};

/// A snapshot of this server's own state machine is complete (Raft section 7).
struct snapshot_created {
    ptr<snapshot> meta;
};

/// Result of `read_object`.
struct object_read {
    uint64_t transfer = 0;
    uint64_t object = 0;
    ptr<buffer> data;  ///< Null: reading failed.
    bool last = false;
};

/// Result of `save_object` number `request`.
struct object_saved {
    uint64_t request = 0;
    bool ok = false;
    uint64_t next_object = 0;  ///< The object that the state machine wants next.
    bool installed = false;    ///< It was the last one, and the snapshot is now the state.
};

/// Result of `install_pack`: the log store holds the pack (or refused it).
struct pack_installed {
    uint64_t request = 0;
    bool ok = false;
};

/// Administration; answered in the same step by `effects::answers`.
struct add_server {
    uint64_t number = 0;
    ptr<srv_config> server;
};
struct remove_server {
    uint64_t number = 0;
    int32_t server = -1;
};
struct set_priority {
    uint64_t number = 0;
    int32_t server = -1;
    int32_t priority = 0;
    bool broadcast_when_leader_exists = false;
    bool broadcast_always = false;
};
struct set_user_context {
    uint64_t number = 0;
    std::string context;
};
struct update_server {
    uint64_t number = 0;
    ptr<srv_config> server;
};
struct set_learner {
    uint64_t number = 0;
    int32_t server = -1;
    bool learner = false;
};

/// Give up leadership (behaviour 29.2). The program has agreed already.
struct yield {
    bool immediate = false;
    int32_t successor = -1;
};

/// Ask the leader to hand over to this server.
struct request_leadership {};

/// Ask the leader to rebuild its connection to this server.
struct request_reconnect {};

/// The program wants a passive server's election timer again.
struct restart_election_timer {};

/// The program wants an election now, without pre-vote. `forced`: priorities do not matter.
struct campaign {
    bool forced = false;
};

/// The program repairs a cluster without a majority: this configuration is in force, agreed or not.
struct replace_config {
    ptr<cluster_config> config;
};

struct settings_changed {
    settings to;
};

/// Whether broken connections are replaced without a growing delay; for tests of programs.
struct reconnect_at_once {
    bool on = false;
};

/// No effects after this step; timers are cancelled and requests dropped.
struct stop {};

}  // namespace inputs

using input = std::variant<
    inputs::start, inputs::timer_fired, inputs::request, inputs::response, inputs::send_failed,
    inputs::proposal, inputs::replicate, inputs::log_stored, inputs::log_durable,
    inputs::log_failed, inputs::commit_answer, inputs::term_answer, inputs::applied,
    inputs::adjust_quorum, inputs::mark_down, inputs::read_index, inputs::check_leadership,
    inputs::snapshot_created, inputs::object_read, inputs::object_saved, inputs::pack_installed,
    inputs::add_server, inputs::remove_server, inputs::set_priority, inputs::set_user_context,
    inputs::update_server, inputs::set_learner, inputs::yield, inputs::request_leadership,
    inputs::request_reconnect, inputs::restart_election_timer, inputs::campaign,
    inputs::replace_config, inputs::settings_changed, inputs::reconnect_at_once, inputs::stop>;

}  // namespace protocol
}  // namespace nuraft
