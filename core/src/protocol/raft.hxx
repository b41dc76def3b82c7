#pragma once

#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "protocol/effects.hxx"
#include "protocol/inputs.hxx"
#include "protocol/log_tail.hxx"
#include "protocol/log_view.hxx"
#include "protocol/membership.hxx"
#include "protocol/mutation.hxx"
#include "protocol/peer_progress.hxx"
#include "protocol/settings.hxx"
#include "srv_role.hxx"

namespace nuraft {
namespace protocol {

/// What a server of the protocol knows when it is built.
struct recovered {
    hard_state state;
    ptr<cluster_config> config;   ///< Last saved; never null.
    ptr<snapshot> last_snapshot;  ///< Null: none.
    uint64_t commit_index = 0;    ///< What the state machine has applied.
};

/// The rules of Raft for one server (Ongaro and Ousterhout 2014, with the dissertation's pre-vote,
/// leadership transfer and single-server membership changes, in NuRaft's dialect of messages).
///
/// Deterministic: no clock, no chance, no I/O, no threads and no global state. The same seed and
/// the same inputs at the same times give the same effects. Not thread-safe, by design: the caller
/// serialises `step` and the queries.
class raft {
public:
    /// `log` must outlive the object and may change only through the effects of this object, by
    /// compaction, or while no step runs.
    raft(const settings& s, uint64_t seed, const log_view& log, const recovered& from);
    ~raft();
    raft(const raft&) = delete;
    raft& operator=(const raft&) = delete;

    /// Takes in one input at time `now` (never less than before) and appends to `out` what must
    /// be done about it.
    void step(time_ms now, const input& in, effects& out);

    // Queries. Constant time unless stated.
    int32_t id() const { return settings_.id; }
    srv_role role() const { return role_; }
    uint64_t term() const { return state_.term; }
    const hard_state& state() const { return state_; }
    /// -1: none known.
    int32_t leader() const;
    bool leader_alive() const;
    bool initialized() const { return initialized_; }
    bool writes_paused() const { return handover_.has_value(); }
    /// Elected, but the program is not told before the state machine is there (behaviour 8.3).
    bool awaits_own_machine() const { return awaits_own_machine_; }
    bool halted() const { return halted_; }
    /// Highest index known to be committed.
    uint64_t commit_index() const { return commit_index_; }
    uint64_t leader_commit_index() const { return leader_commit_index_; }
    uint64_t last_log_index() const { return log_.last_index(); }
    uint64_t index_at_becoming_leader() const { return index_at_becoming_leader_; }
    uint64_t durable_index() const { return durable_index_; }
    /// Results of clients' entries up to here may be delivered once they are applied on this
    /// server (behaviour 19.6). Linear in the number of peers.
    uint64_t deliverable_index() const;
    /// What the quorum rule would commit now, for asking the program; the commit index if that is
    /// not more, or this server does not lead. Linear in the number of peers.
    commit_question expected_commit() const;
    bool is_excluded_by_leader() const { return excluded_by_leader_ && role_ != srv_role::leader; }
    bool is_marked_down() const { return self_marked_down_; }
    bool is_part_of_full_consensus(time_ms now) const;
    /// The other of two voters is away and this one may go on alone (behaviour 20).
    bool quorum_is_adjusted() const;
    /// The active configuration; treat as immutable.
    const ptr<cluster_config>& config() const { return config_; }
    /// The configuration in force at a committed index; null if it is no longer known. Linear in
    /// the number of configurations since the last snapshot.
    ptr<cluster_config> config_at(uint64_t index) const;
    bool config_in_progress() const {
        return !uncommitted_configs_.empty() && !mutated(mutation::two_changes_at_once);
    }
    const ptr<snapshot>& last_snapshot() const { return snapshot_; }
    /// Leader only; empty otherwise. Linear in the number of peers.
    std::vector<peer_view> peers(time_ms now) const;
    /// Would this append request pass every check now? For asking the program before the step
    /// (behaviour 12.3).
    bool would_accept(const req_msg& append, time_ms now) const;
    /// Would this snapshot object be stored now? Likewise (behaviour 24.3).
    bool would_store(const req_msg& install) const;
    /// Who to hand over to by rule (behaviour 29.2), for asking the program; -1: nobody.
    int32_t best_successor(time_ms now) const;
    /// False: `yield` would do nothing.
    bool can_yield() const;
    int32_t commit_quorum() const;
    int32_t election_quorum() const;
    /// One line for logs and traces.
    std::string describe() const;
    /// For display. Calls `f` with each peer's record, of which the joining server's is not one.
    template <typename F>
    void each_peer(F f) const {
        for (const auto& [peer_id, p] : peers_) f(p);
    }
    const peer_progress* joining_peer() const { return joining_ ? &joining_->progress : nullptr; }
    inner_view inspect() const;

private:
    struct dispatcher;

    // raft.cxx: shared by all rules
    void save_state() { out_->save = state_; }
    bool adopt_term(uint64_t term);
    void become_follower();
    void halt(int code, const std::string& why);
    void notify(notice::kind what, int32_t peer = -1, uint64_t index = 0);
    void report_bad_message(int32_t peer, const std::string& text);
    void arm(timer_kind kind, int32_t peer, int32_t delay_ms);
    void cancel(timer_kind kind, int32_t peer);
    int32_t uniform(int32_t low, int32_t high);
    void write_log(uint64_t first, std::vector<ptr<log_entry>> entries, uint64_t batch_first,
                   uint64_t batch_count);
    uint64_t term_of(uint64_t index) const;
    uint64_t last_log_term() const;
    peer_progress* find_peer(int32_t id);
    const peer_progress* find_peer(int32_t id) const;
    peer_progress* find_target(int32_t id);
    bool is_joining(const peer_progress& p) const;
    bool counts(const peer_progress& p) const;
    bool is_voter_in(const cluster_config& config) const;
    bool is_voter() const { return is_voter_in(*config_); }
    int32_t voters() const;
    int32_t election_quorum_among(int32_t voters) const;
    int32_t commit_quorum_among(int32_t voters, int32_t left_out) const;
    int32_t highest_priority() const;
    int32_t max_heartbeat_ms() const;

    // answering.cxx
    /// The answer to request `request`, which vouches for the log up to `index`.
    struct waiting_answer {
        uint64_t request;
        uint64_t index;
        time_ms received_at;
        ptr<resp_msg> resp;
    };
    ptr<resp_msg> make_response(const req_msg& req, msg_type type, uint64_t next, bool accepted);
    uint64_t next_slot_for(const req_msg& req) const;
    void answer_now(uint64_t request, const ptr<resp_msg>& resp);
    void answer_when_durable(uint64_t request, const ptr<resp_msg>& resp, uint64_t index);
    void release_durable_answers();
    void refuse_answers_from(uint64_t index, uint64_t next);

    // election.cxx
    void on_start(const inputs::start& in);
    void arm_election_timer(bool allow);
    void on_election_timeout();
    void learn_of_removal();
    bool count_down_to_leaving();
    void start_pre_vote();
    void on_campaign(const inputs::campaign& in);
    void start_vote(bool forced);
    bool elects(const std::set<int32_t>& supporters) const;
    void on_term_answer(const inputs::term_answer& in);
    bool may_campaign(bool forced) const;
    bool zero_priority_exception() const;
    void on_pre_vote_response(peer_progress& p, const resp_msg& resp);
    void on_vote_response(peer_progress& p, const resp_msg& resp);
    void become_leader();
    void reset_pre_vote();
    void refresh_leader_alive();
    void decay_target_priority();

    // recv_vote.cxx
    void on_pre_vote_request(const inputs::request& in);
    void on_vote_request(const inputs::request& in);
    bool sees_live_leader() const;
    bool is_behind_us(const req_msg& candidacy) const;

    // recv_append.cxx
    void on_append_request(const inputs::request& in);
    bool log_matches(const req_msg& req) const;
    bool is_foreign(uint64_t index) const {
        return index > commit_index_ && index <= foreign_through_ &&
               !mutated(mutation::foreign_log_trusted);
    }
    bool store_entries(const req_msg& req);

    // replicate.cxx
    void on_replicate(const inputs::replicate& in);
    void replicate_to_all();
    bool try_send(peer_progress& p);
    bool build_append(peer_progress& p);
    void send_to(peer_progress& p, const ptr<req_msg>& msg, bool ordinary, uint64_t first = 0,
                 uint64_t count = 0, int64_t bytes = 0);
    bool streaming_full(const peer_progress& p) const;
    void end_streaming(peer_progress& p);
    bool send_snapshot_or_notice(peer_progress& p);
    void send_out_of_range(peer_progress& p);
    void start_heartbeats(peer_progress& p);
    void on_heartbeat_timer(int32_t peer);
    void send_sign_of_life(peer_progress& p);

    // connection.cxx
    bool ready_to_send(peer_progress& p);
    bool reconnect(peer_progress& p);
    void forget_sends(peer_progress& p);
    void on_response(const inputs::response& in);
    void on_send_failed(const inputs::send_failed& in);
    void on_peer_error(peer_progress& p, const sent_request& was);
    std::optional<sent_request> take_sent(uint64_t number);

    // recv_append_response.cxx
    void on_append_response(peer_progress& p, const sent_request& was, const resp_msg& resp);
    void on_append_accepted(peer_progress& p, const sent_request& was, const resp_msg& resp);
    void on_append_refused(peer_progress& p, const resp_msg& resp);
    void continue_from(peer_progress& p, uint64_t next);
    void maybe_start_streaming(peer_progress& p, const sent_request& was);
    void send_more(peer_progress& p, bool refused);

    // commit.cxx
    uint64_t held_by(int32_t quorum, const cluster_config& config) const;
    int32_t left_out() const;
    uint64_t quorum_index(const cluster_config& config) const;
    bool leaver_needs_us() const;
    uint64_t commit_candidate() const;
    void recompute_commit();
    bool may_commit(uint64_t index) const;
    void on_commit_answer(const inputs::commit_answer& in);
    uint64_t own_durable_index() const;
    void raise_commit(uint64_t index);
    bool others_know(uint64_t index, const cluster_config& config) const;
    void activate_committed_configs();

    // full_consensus.cxx
    time_ms silence_of(const peer_progress& p, time_ms now) const;
    bool lost_touch(const peer_progress& p) const;
    bool is_excluded(const peer_progress& p) const { return p.marked_down || lost_touch(p); }
    uint64_t healthy_index() const;
    uint64_t append_flags(const peer_progress& p, uint64_t through) const;
    bool append_comes_after_gap(time_ms now) const;
    time_ms follower_patience_ms() const;
    void on_mark_down(const inputs::mark_down& in);
    void answer_accepted(const waiting_answer& w);

    // machine_progress.cxx
    void on_applied(const inputs::applied& in);
    void announce_leadership();
    bool leaves_election_to_others();
    void note_applied_of(peer_progress& p, const resp_msg& resp);
    bool knows_commit_by_applying(const peer_progress& p) const;
    void ask_again_how_far(peer_progress& p);
    void on_progress_timer(int32_t peer);

    // small_cluster.cxx
    peer_progress* other_of_two();
    bool is_away(const peer_progress& p) const;
    void consider_other_of_two();
    void consider_standing_alone();
    uint64_t term_of_one_alone(uint64_t least) const;
    void on_adjust_quorum();

    // read_index.cxx
    /// A read whose leadership is not confirmed yet.
    struct waiting_read {
        uint64_t number;
        ptr<req_msg> request;  ///< Of a follower; null: of this server's own program.
        uint64_t index;
        uint64_t asked_at;  ///< What is sent from this number on was sent after it came.
    };
    void on_read_index(const inputs::read_index& in);
    void take_read(waiting_read r);
    bool awaited_by_reads(const peer_progress& p) const;
    void note_leadership_confirmed(peer_progress& p, const sent_request& was, uint64_t number,
                                   uint64_t term);
    int32_t read_quorum_among(int32_t voters) const;
    bool is_confirmed_since(uint64_t asked_at) const;
    void answer_reads();
    void refuse_reads();
    void answer_read(const waiting_read& r, const std::optional<uint64_t>& index);

    // proposal.cxx
    void on_proposal(const inputs::proposal& in);
    void on_log_stored(const inputs::log_stored& in);
    void on_log_durable(const inputs::log_durable& in);
    void on_log_failed();

    // snapshot.cxx
    void on_snapshot_created(const inputs::snapshot_created& in);
    bool send_snapshot(peer_progress& p);
    void send_object(peer_progress& p);
    void on_object_read(const inputs::object_read& in);
    void on_install_response(peer_progress& p, const resp_msg& resp);
    void drop_transfer(peer_progress& p);
    void check_transfer_timeout(peer_progress& p);
    int32_t transfer_timeout_ms() const;

    // recv_snapshot.cxx
    bool has_state_of(const snapshot& meta) const;
    void on_install_request(const inputs::request& in);
    void on_object_saved(const inputs::object_saved& in);
    void adopt_snapshot(const ptr<snapshot>& meta, bool discarded);

    // membership_change.cxx: joining, leaving, attributes
    void on_add_server(const inputs::add_server& in);
    void invite();
    void on_join_response(const resp_msg& resp);
    void bring_up_to_date();
    void on_sync_response(const resp_msg& resp);
    void admit();
    void fail_join();
    void on_joining_error(const sent_request& was);
    void on_retry_timer();
    bool joining_is_inactive() const;
    void on_remove_server(const inputs::remove_server& in);
    void on_leave_response(peer_progress& p, const resp_msg& resp);
    void append_removal(peer_progress& p);
    void check_leaving();
    void finish_leaving();
    void force_leave(peer_progress& p);
    void on_set_priority(const inputs::set_priority& in);
    void broadcast_priority(int32_t server, int32_t priority);
    void change_priority_here(int32_t server, int32_t priority);
    ptr<cluster_config> with_broadcast_priorities(const cluster_config& config) const;
    void on_set_user_context(const inputs::set_user_context& in);
    void on_update_server(const inputs::update_server& in);
    void on_set_learner(const inputs::set_learner& in);
    void promote_new_joiner(peer_progress& p);
    void answer_admin(uint64_t number, cmd_result_code code, bool accepted);

    // recv_membership.cxx: the other end of those
    void on_join_request(const inputs::request& in);
    void join(const cluster_config& theirs, const req_msg& req, bool alone);
    void on_sync_request(const inputs::request& in);
    void on_pack_installed(const inputs::pack_installed& in);
    void on_leave_request(const inputs::request& in);
    void on_priority_request(const inputs::request& in);

    // configuration.cxx
    ptr<cluster_config> read_config(log_entry& entry) const;
    void match_peers_to_config();
    void leave_catching_up_if_member();
    void append_config(const ptr<cluster_config>& next);
    ptr<cluster_config> newest_config() const;
    bool voters_are_changing() const;
    std::vector<const cluster_config*> decisive_configs() const;
    void on_replace_config(const inputs::replace_config& in);
    void apply_config(const ptr<cluster_config>& next);
    void add_peer(const ptr<srv_config>& server);
    void remove_peer(int32_t id);
    void recover_configs();
    bool log_continues_snapshot() const;
    void scan_configs();
    void recognise_foreign_log();

    // handover.cxx
    bool leadership_is_valid();
    void check_leadership();
    int32_t silent_voters(int64_t longer_than_ms) const;
    void report_lost(peer_progress& p);
    void on_yield(const inputs::yield& in);
    void resign(bool long_timer);
    void check_handover_deadline();
    void maybe_complete_handover();
    bool successor_has_all() const;
    void pass_leadership();
    void maybe_transfer_automatically();
    void on_request_leadership();
    void on_request_reconnect();
    ptr<req_msg> make_notification(int inner_type, uint64_t previous_index, uint64_t previous_term,
                                   int32_t to, const ptr<buffer>& body);
    void on_notification_response(peer_progress& p, const resp_msg& resp);
    void on_reconnect_request(const inputs::request& in);
    void on_notification(const inputs::request& in);
    void act_on_notification(int inner_type, const req_msg& req, uint64_t start_of_leader);

    void on_settings_changed(const inputs::settings_changed& in);
    void on_stop();

    settings settings_;
    std::mt19937_64 random_;
    log_tail log_;
    time_ms now_ = 0;
    effects* out_ = nullptr;  ///< Of the step that runs; null between steps.

    // Persistent.
    hard_state state_;
    ptr<cluster_config> config_;
    std::map<uint64_t, ptr<cluster_config>> past_configs_;         ///< Committed, by log index.
    std::map<uint64_t, ptr<cluster_config>> uncommitted_configs_;  ///< In the log, not active yet.
    /// Of before the last change of voters; the founding one if there was none; null: not known,
    /// as after most restarts.
    ptr<cluster_config> former_voters_;
    uint64_t config_gap_end_ = 0;  ///< Up to here we may have missed a configuration between two.
    ptr<snapshot> snapshot_;
    std::map<int32_t, int32_t> broadcast_priorities_;  ///< Since the last configuration, by server.

    // Volatile, on every server.
    srv_role role_ = srv_role::follower;
    int32_t leader_ = -1;
    int32_t last_leader_ = -1;  ///< Survives a pre-vote round; for reconnect requests (B8).
    bool leader_is_live_ = false;
    bool initialized_ = false;
    bool halted_ = false;
    bool stopped_ = false;
    bool reconnect_at_once_ = false;  ///< For tests of programs; no setting.
    uint64_t commit_index_ = 0;
    uint64_t initial_commit_index_ = 0;
    uint64_t leader_commit_index_ = 0;
    uint64_t durable_index_ = 0;
    uint64_t applied_index_ = 0;
    uint64_t lag_target_ = 0;  ///< What the state machine should have applied (behaviour 22.1).
    /// Up to here the log above the commit index is that of the cluster of one that this server was
    /// before it joined; equal terms in it mean nothing. 0: none of it is.
    uint64_t foreign_through_ = 0;
    std::set<int32_t> removed_ids_;  ///< Known to have been members once (B3).

    // Answers that wait for the disk, by request number, in order of the index they vouch for.
    std::deque<waiting_answer> waiting_answers_;

    // Full consensus, as a follower.
    static constexpr time_ms never = std::numeric_limits<time_ms>::min() / 2;
    time_ms last_append_ = never;  ///< When a request came, accepted or not, or was answered.
    time_ms last_accepted_append_ = never;  ///< When the last one came that was acknowledged.
    bool self_marked_down_ = false;
    bool excluded_by_leader_ = false;

    // Elections.
    time_ms election_armed_at_ = 0;
    struct {
        uint64_t term = 0;
        time_ms since = 0;
        bool due = false;  ///< A leader of a later term was heard since.
    } grace_;  ///< When others were last left the election, for the sake of our state machine.
    bool long_timer_once_ = false;
    bool out_of_log_range_ = false;
    int32_t steps_to_leave_ = 0;  ///< Election timeouts that a leaver sits out.
    bool was_removed_ = false;    ///< Falls silent for good after them.
    int32_t target_priority_ = 1;
    time_ms priority_at_floor_since_ = 0;
    time_ms last_vote_decay_ = 0;
    int32_t my_priority_ = 1;
    bool im_learner_ = false;
    struct {
        uint64_t term = 0;
        bool done = false;
        std::set<int32_t> dead, live, abandoned;
        int32_t quorum_rejections = 0;
        int32_t unanswered = 0;  ///< Rounds in a row in which fewer than a quorum spoke.
        int32_t hopeless = 0;
    } pre_vote_;
    struct {
        bool open = false;
        bool forced = false;
        bool awaits_term = false;  ///< The program was asked for the candidacy's term.
        std::set<int32_t> responded, granted;
    } vote_;

    // Receiving a snapshot.
    struct receiving {
        uint64_t request = 0;  ///< The object that is being saved; 0: none.
        ptr<req_msg> msg;
        ptr<snapshot> meta;
        bool discard_log = false;
    };
    receiving receiving_;
    std::map<uint64_t, ptr<req_msg>> packs_waiting_;  ///< Handed to the store, by request number.

    // Leader.
    std::map<int32_t, peer_progress> peers_;
    std::map<uint64_t, sent_request> sent_;  ///< Requests whose answer is still welcome.
    uint64_t next_send_ = 1;
    std::deque<waiting_read> reads_;  ///< In the order in which they came.
    uint64_t next_transfer_ = 1;
    uint64_t asked_commit_ = 0;  ///< Of the last commit question.
    uint64_t index_at_becoming_leader_ = 0;
    time_ms leader_since_ = 0;
    bool awaits_own_machine_ = false;
    bool quorum_adjusted_ = false;
    time_ms quorum_checked_at_ = never;
    time_ms last_transfer_check_ = 0;
    struct handover {
        int32_t successor = -1;
        time_ms deadline = 0;
    };
    std::optional<handover> handover_;
    struct joining {
        ptr<srv_config> server;
        peer_progress progress;
        bool invited = false;
        int32_t refused_packs = 0;
    };
    std::unique_ptr<joining> joining_;
    int32_t leaving_ = -1;
    uint64_t leaving_index_ = 0;  ///< Log index of the configuration without it.
};

}  // namespace protocol
}  // namespace nuraft
