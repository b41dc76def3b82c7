#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "async.hxx"
#include "basic_types.hxx"
#include "buffer.hxx"
#include "callback.hxx"
#include "cluster_config.hxx"
#include "log_entry.hxx"
#include "log_store.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "raft_params.hxx"
#include "req_msg.hxx"
#include "resp_msg.hxx"
#include "rpc_cli.hxx"
#include "snapshot.hxx"
#include "srv_config.hxx"
#include "srv_role.hxx"
#include "srv_state.hxx"
#include "state_machine.hxx"
#include "state_mgr.hxx"

namespace nuraft {

struct context;
class delayed_task_scheduler;
class global_mgr;
class logger;
class peer;
class snapshot_sync_ctx;

using CbReturnCode = cb_func::ReturnCode;

/// One member of a cluster. Must be owned by a `shared_ptr`.
///
/// All public members may be called from any thread; after `shutdown` only the getters. What must
/// not be called from the program's own callbacks is said with `cb_func` and below.
class raft_server : public std::enable_shared_from_this<raft_server> {
    __nocopy__(raft_server);

public:
    struct init_options {
        init_options()
            : skip_initial_election_timeout_(false),
              start_server_in_constructor_(true),
              test_mode_flag_(false) {}
        init_options(bool skip_initial_election_timeout, bool start_server_in_constructor,
                     bool test_mode_flag)
            : skip_initial_election_timeout_(skip_initial_election_timeout),
              start_server_in_constructor_(start_server_in_constructor),
              test_mode_flag_(test_mode_flag) {}

        /// No election timer until a leader is heard; saved, so that it survives restarts.
        bool skip_initial_election_timeout_;
        cb_func::func_type raft_callback_;
        bool start_server_in_constructor_;
        /// Leaves election timeouts as they are, even where they do not fit the heartbeat.
        bool test_mode_flag_;
    };

    /// How patient a server is. `get_raft_limits` and `set_raft_limits` are about the process's
    /// default set; each server has a copy of its own, taken when it is created and at each
    /// `update_params`.
    struct limits {
        limits()
            : pre_vote_rejection_limit_(20),
              warning_limit_(20),
              response_limit_(20),
              leadership_limit_(20),
              reconnect_limit_(50),
              leave_limit_(5),
              vote_limit_(5),
              busy_connection_limit_(20),
              full_consensus_leader_limit_(4),
              full_consensus_follower_limit_(2) {}

        limits(const limits& src) : limits() { *this = src; }

        /// Field by field: a concurrent reader may see old and new values mixed.
        limits& operator=(const limits& src) {
            pre_vote_rejection_limit_ = src.pre_vote_rejection_limit_.load();
            warning_limit_ = src.warning_limit_.load();
            response_limit_ = src.response_limit_.load();
            leadership_limit_ = src.leadership_limit_.load();
            reconnect_limit_ = src.reconnect_limit_.load();
            leave_limit_ = src.leave_limit_.load();
            vote_limit_ = src.vote_limit_.load();
            busy_connection_limit_ = src.busy_connection_limit_.load();
            full_consensus_leader_limit_ = src.full_consensus_leader_limit_.load();
            full_consensus_follower_limit_ = src.full_consensus_follower_limit_.load();
            return *this;
        }

        /// Pre-votes rejected by a quorum before connections are made anew.
        std::atomic<int32> pre_vote_rejection_limit_;
        /// Errors in a row before a peer is reported lost and logged no more.
        std::atomic<int32> warning_limit_;
        /// Times the heartbeat: longer silence counts as not responding.
        std::atomic<int32> response_limit_;
        /// Times the heartbeat: default of `raft_params::leadership_expiry_`.
        std::atomic<int32> leadership_limit_;
        /// Times the heartbeat: longer silence makes a connection be rebuilt.
        std::atomic<int32> reconnect_limit_;
        /// Heartbeats until a leaving server is removed anyway.
        std::atomic<int32> leave_limit_;
        /// Unanswered pre-votes before the quorum of a small cluster is adjusted.
        std::atomic<int32> vote_limit_;
        /// Pre-votes in a row that busy connections prevent before the server counts as isolated;
        /// 0: never.
        std::atomic<int32> busy_connection_limit_;
        /// Times the heartbeat: longer silence excludes a member from full consensus.
        std::atomic<int32> full_consensus_leader_limit_;
        /// Times the heartbeat: a follower that heard nothing for longer is excluded.
        std::atomic<int32> full_consensus_follower_limit_;
    };

    struct req_ext_cb_params {
        req_ext_cb_params() : log_idx(0), log_term(0), context(nullptr) {}
        uint64_t log_idx;
        uint64_t log_term;
        void* context;
    };

    using req_ext_cb = std::function<void(const req_ext_cb_params&)>;

    struct req_ext_params {
        req_ext_params() : expected_term_(0), context_(nullptr) {}
        /// Called after each entry's pre-commit, in the same thread.
        req_ext_cb after_precommit_;
        /// Refuse the request in any other term; 0: do not care.
        uint64_t expected_term_;
        void* context_;
    };

    enum class PrioritySetResult {
        SET,        ///< A configuration entry was appended.
        BROADCAST,  ///< All peers were told directly.
        IGNORED,
    };

    struct peer_info {
        peer_info() : id_(-1), last_log_idx_(0), last_sm_committed_idx_(0), last_succ_resp_us_(0) {}
        int32 id_;
        ulong last_log_idx_;
        /// Filled in with `raft_params::track_peers_sm_commit_idx_` only.
        ulong last_sm_committed_idx_;
        /// Microseconds since the last successful response.
        ulong last_succ_resp_us_;
    };

    struct create_snapshot_options {
        create_snapshot_options() : serialize_commit_(false) {}
        /// Hold back commits until the call returns, so that the newest index is used.
        bool serialize_commit_;
    };

    /// Takes ownership of `ctx`.
    raft_server(context* ctx, const init_options& opt = init_options());
    virtual ~raft_server();

    // Start and stop

    /// Blocks for `raft_params::rpc_failure_backoff_`, then arms the election timer unless told to
    /// skip it or forbidden by the saved state.
    void start_server(bool skip_initial_election_timeout);
    /// Refuses requests and cancels pending results from now on, without waiting for threads.
    void stop_server();
    /// Blocks until the server's threads have ended; pending results become `CANCELLED`. Repeated
    /// calls are harmless. Not from a callback.
    void shutdown();

    // Requests. Results are never null.

    /// Appends one entry for each buffer; none may be null, nor be changed afterwards. The result
    /// is that of the last entry.
    ptr<cmd_result<ptr<buffer>>> append_entries(const std::vector<ptr<buffer>>& logs);
    ptr<cmd_result<ptr<buffer>>> append_entries_ext(const std::vector<ptr<buffer>>& logs,
                                                    const req_ext_params& ext_params);
    /// `OK` means started; the configuration shows when it is done.
    ptr<cmd_result<ptr<buffer>>> add_srv(const srv_config& srv);
    /// `OK` means started; the configuration shows when it is done.
    ptr<cmd_result<ptr<buffer>>> remove_srv(const int srv_id);
    /// Leader only, never forwarded. Complete on return.
    ptr<cmd_result<ptr<buffer>>> flip_learner_flag(int32 srv_id, bool to);

    // Leadership, priority, configuration

    PrioritySetResult set_priority(const int srv_id, const int new_priority,
                                   bool broadcast_when_leader_exists = false);
    /// Tells all peers directly, without a log entry; for emergencies.
    void broadcast_priority_change(const int srv_id, const int new_priority);
    /// Hands leadership over to `successor_id`, or the best peer if -1. Immediately: resigns at
    /// once, and anyone may win.
    void yield_leadership(bool immediate_yield = false, int successor_id = -1);
    /// Asks the leader to hand over to this server. False: already leader, or none is known.
    bool request_leadership();
    /// Allows the election timer again, and arms it.
    void restart_election_timer();
    /// Leader only; elsewhere without effect.
    void set_user_ctx(const std::string& ctx);
    std::string get_user_ctx() const;
    /// Replaces one member's settings. False: not leader, no such member, a new joiner, or another
    /// endpoint.
    bool update_srv_config(const srv_config& new_config);
    /// Follower: asks the leader to rebuild its connection.
    void send_reconnect_request();
    void update_params(const raft_params& new_params);
    /// While one of two goes on alone, both custom quorum sizes read as 1; passing that back to
    /// `update_params` changes nothing.
    raft_params get_current_params() const;
    /// Chooses the term of each of this server's candidacies; null: the next one. The function runs
    /// with a lock of the server held and may call getters only. A result that is not greater than
    /// its argument, or an exception, means no candidacy this time.
    void set_inc_term_func(srv_state::inc_term_func func);
    /// Announces this server as down, for full consensus. Returns the old flag; refused on a
    /// leader.
    bool set_self_mark_down(bool to);
    /// True: this server holds every entry that is committed at the moment, provided that the
    /// cluster uses full consensus. False for a moment after each start.
    bool is_part_of_full_consensus();
    /// Follower: the leader's last word was that it commits without this server. Leader: false.
    bool is_excluded_by_leader();
    /// The process's default set; thread-safe.
    static limits get_raft_limits();
    static void set_raft_limits(const limits& new_limits);
    /// Offline: saves the configuration that the entry `le` holds. False, and a message: a null
    /// argument, another type of entry, or an empty one.
    static bool apply_config_log_entry(ptr<log_entry>& le, ptr<state_mgr>& s_mgr,
                                       std::string& err_msg);
    CbReturnCode invoke_callback(cb_func::Type type, cb_func::Param* param);

    // Getters; allowed in every callback

    /// The server has been leader or has heard one.
    bool is_initialized() const;
    bool is_catching_up() const;
    bool is_receiving_snapshot() const;
    /// Not while an elected server waits for its state machine; see
    /// `raft_params::wait_for_sm_catchup_on_becoming_leader_`.
    bool is_leader() const;
    /// -1: none known.
    int32 get_leader() const;
    bool is_leader_alive() const;
    int32 get_id() const;
    ulong get_term() const;
    ulong get_log_term(ulong log_idx) const;
    ulong get_last_log_term() const;
    ulong get_last_log_idx() const;
    /// Last index that the state machine has applied.
    ulong get_committed_log_idx() const;
    /// Last index that is agreed, applied or not.
    ulong get_target_committed_log_idx() const;
    /// Leader: its own applied index; follower: the last index that the leader announced.
    ulong get_leader_committed_log_idx() const;
    /// Index of this leadership's first entry; 0 if not leader.
    uint64_t get_log_idx_at_becoming_leader() const;
    bool is_leader_sm_fully_caught_up() const;
    /// Leader: what would be committed if that were decided now; asks
    /// `state_machine::adjust_commit_index`. Elsewhere, and at least, what is committed.
    ulong get_expected_committed_log_idx();
    /// Committed; do not modify.
    ptr<cluster_config> get_config() const;
    ptr<log_store> get_log_store() const;
    /// -1: no such member.
    int32 get_dc_id(int32 srv_id) const;
    /// Empty: no such member.
    std::string get_aux(int32 srv_id) const;
    /// Null: no such member.
    ptr<srv_config> get_srv_config(int32 srv_id) const;
    /// Appends all members.
    void get_srv_config_all(std::vector<ptr<srv_config>>& configs_out) const;
    /// Leader only; a default object elsewhere, and for unknown ids.
    peer_info get_peer_info(int32 srv_id) const;
    /// Leader only, without this server; empty elsewhere.
    std::vector<peer_info> get_peer_info_all() const;
    /// Milliseconds.
    int32 get_snapshot_sync_ctx_timeout() const;
    /// 0: none.
    ulong get_last_snapshot_idx() const;

    // Statistics; names that are not known read as 0 or false

    static uint64_t get_stat_counter(const std::string& name);
    static int64_t get_stat_gauge(const std::string& name);
    static bool get_stat_histogram(const std::string& name,
                                   std::map<double, uint64_t>& histogram_out);
    static void reset_stat(const std::string& name);
    static void reset_all_stats();

    // The state machine

    /// Applies nothing after the entry in progress; waits so long for that to end, 0: not at all.
    void pause_state_machine_execution(size_t timeout_ms = 0);
    void resume_state_machine_execution();
    /// Paused, and nothing in progress.
    bool is_state_machine_execution_paused() const;
    /// 0: no limit. True: nothing is in progress.
    bool wait_for_state_machine_pause(size_t timeout_ms);
    /// `log_store::last_durable_index` has advanced; one call may cover many entries. False: the
    /// write failed.
    void notify_log_append_completion(bool ok);
    /// Whatever the distance to the last one. Returns the index, or 0 if nothing was started.
    ulong create_snapshot(const create_snapshot_options& options = create_snapshot_options());
    /// After the next index that is applied. Null: one is scheduled already.
    ptr<cmd_result<uint64_t>> schedule_snapshot_creation();
    /// True once `target_idx` was applied; false with `CANCELLED` on shutdown.
    ptr<cmd_result<bool>> wait_for_state_machine_commit(uint64_t target_idx);

private:
    class impl;
    std::shared_ptr<impl> impl_;

    friend ptr<cmd_result<uint64_t>> read_index(raft_server& server);

protected:
    /// Every request comes through here, from peers and from clients of this server. Null: no
    /// answer.
    virtual ptr<resp_msg> process_req(req_msg& req, const req_ext_params& ext_params);

    // For derived classes: what programs written for NuRaft are known to look at. The state below
    // is shown, not kept, here: the server brings it up to date after each step, and assigning to
    // it changes nothing, but for `serving_req_`. What is not atomic is to be read with `lock_`
    // held.

    /// Voters, this server included.
    int32 get_num_voting_members();
    /// Votes or acknowledgements that are needed besides this server's own.
    int32 get_quorum_for_election();
    int32 get_quorum_for_commit();
    /// Milliseconds; negative: never.
    int32 get_leadership_expiry();
    /// Leader: voters that were silent for longer than `expiry` ms; 0: `limits::response_limit_`
    /// heartbeats. With `required_log_idx`, also those known to lack that entry.
    std::list<ptr<peer>> get_not_responding_peers(uint64_t expiry = 0);
    size_t get_not_responding_peers_count(uint64_t expiry = 0, uint64_t required_log_idx = 0);
    /// Leader: peers that lack more than `raft_params::stale_log_gap_` entries.
    size_t get_num_stale_peers();
    /// Neither learner, nor new joiner, nor leaving.
    bool is_regular_member(const ptr<peer>& p);
    /// Leader: each voting peer, with the milliseconds since its last answer. Without `lock_`.
    void for_each_voting_members(const std::function<void(const ptr<peer>&, uint64_t)>& callback);
    /// Full consensus does without this peer: silent for longer than `expiry`, known to lack
    /// `required_log_idx`, receiving a snapshot, or marked down by itself.
    static bool is_excluded_from_quorum(const peer& pp, uint64_t resp_elapsed_ms, uint64_t expiry,
                                        uint64_t required_log_idx,
                                        bool include_self_mark_down = true);
    /// Makes this the configuration in force, without agreement and without an entry in the log:
    /// for repairing a cluster that has lost its majority. Nothing else keeps two parts of a
    /// cluster from going separate ways.
    void reconfigure(const ptr<cluster_config>& new_config);
    /// The same.
    void set_config(const ptr<cluster_config>& new_config);
    ptr<snapshot> get_last_snapshot() const;
    /// Ignored unless it is newer than the last one.
    void set_last_snapshot(const ptr<snapshot>& new_snapshot);
    /// Null: the server has threads of its own, or is not started.
    global_mgr* get_global_mgr() const;
    /// Enough voters have answered within the leadership expiry.
    bool check_leadership_validity();
    /// Gives up leadership at once; elsewhere without effect.
    void become_follower();
    /// Starts an election, without asking beforehand whether it can be won. `force_vote`: voters
    /// shall ignore priorities.
    void initiate_vote(bool force_vote = false);
    /// Leader: sends each peer, or this one, what it lacks. False: not leader, or no such peer.
    void request_append_entries();
    bool request_append_entries(ptr<peer> p);
    /// A worker's turn: applies committed entries for `timeout_ms` (0: no limit), at least one.
    /// False: time is over and some are left.
    bool commit_in_bg_exec(size_t timeout_ms = 0);
    /// A worker's turn: sends what proposals left behind.
    void append_entries_in_bg_exec();

    /// No step is taken while it is held. Do not hold it for long, nor while waiting for anything
    /// that the server does.
    std::recursive_mutex& lock_;
    /// Client requests and role changes take the same one.
    std::recursive_mutex& cli_lock_;
    /// Guards `config_`, as the next guards `last_snapshot_`; or read them with `lock_` held.
    mutable std::mutex config_lock_;
    mutable std::mutex last_snapshot_lock_;

    const std::unique_ptr<context>& ctx_;
    const int32 id_;
    const ptr<log_store> log_store_;
    const ptr<state_machine> state_machine_;
    const ptr<logger> l_;
    /// Null after shutdown.
    ptr<delayed_task_scheduler> scheduler_;
    std::thread& bg_commit_thread_;
    std::thread& bg_append_thread_;
    static limits raft_limits_;
    static const int default_snapshot_sync_block_size = 4096;

    std::atomic<srv_role> role_;
    ptr<srv_state> state_;
    std::atomic<int32> leader_;
    std::atomic<bool> hb_alive_;
    std::atomic<bool> initialized_;
    const std::atomic<bool>& stopping_;
    const std::atomic<bool>& commit_bg_stopped_;
    const std::atomic<bool>& append_bg_stopped_;
    const std::atomic<bool> test_mode_flag_;
    /// Set by the program: while true, election timeouts are put off.
    std::atomic<bool> serving_req_;

    /// Last entry in the log store.
    std::atomic<ulong> precommit_index_;
    /// Last index that the leader announced.
    std::atomic<ulong> leader_commit_index_;
    /// Last index that is agreed, and last one that is applied.
    std::atomic<ulong> quick_commit_index_;
    const std::atomic<ulong>& sm_commit_index_;
    std::atomic<uint64_t> index_at_becoming_leader_;
    /// Applied when the server was created.
    const ulong initial_commit_index_;
    const std::atomic<bool>& sm_commit_paused_;
    const std::atomic<bool>& sm_commit_exec_in_progress_;
    const std::atomic<bool>& data_fresh_;
    std::atomic<bool> out_of_log_range_;
    std::atomic<bool> waiting_for_sm_catchup_;
    std::atomic<bool> self_mark_down_;
    std::atomic<bool> excluded_from_the_quorum_;

    /// Drawn with randomized snapshot creation; 0: no difference.
    const uint32_t first_snapshot_distance_;
    const std::atomic<bool>& snp_in_progress_;
    const std::atomic<bool>& snp_creation_scheduled_;
    ptr<snapshot> last_snapshot_;

    int32 my_priority_;
    int32 target_priority_;
    int32 votes_responded_;
    int32 votes_granted_;
    bool election_completed_;
    bool im_learner_;

    /// In force, and in the log but not in force yet (null: none).
    ptr<cluster_config> config_;
    ptr<cluster_config> uncommitted_config_;
    bool config_changing_;
    /// Election timeouts until a removed server falls silent.
    int32 steps_to_down_;
    /// Null or 0 while nobody joins or leaves.
    ptr<srv_config> conf_to_add_;
    ptr<peer> srv_to_join_;
    ptr<peer> srv_to_leave_;
    ulong srv_to_leave_target_idx_;
    std::atomic<bool> write_paused_;
    /// -1: no hand-over, or nobody chosen.
    std::atomic<int32> next_leader_candidate_;
    std::unordered_map<int32, ptr<peer>> peers_;

private:
    friend class nuraft_global_mgr;
    friend class raft_server_handler;
    friend class snapshot_io_mgr;
    // A follower acknowledges only after its disk write, and the in-tree transport must not block a
    // worker meanwhile: it takes the answer later.
    friend class asio_listener_access;

    /// For `snapshot_io_mgr::push`.
    void send_snapshot_object(const ptr<peer>& to, snapshot_sync_ctx& transfer, rpc_handler& h);
    /// Calls `done` exactly once, perhaps from another thread; null: give no answer.
    void process_req_async(ptr<req_msg> req, std::function<void(ptr<resp_msg>)> done);
};

}  // namespace nuraft
