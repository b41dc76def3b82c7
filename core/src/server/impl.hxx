#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "context.hxx"
#include "global_mgr.hxx"
#include "peer.hxx"
#include "protocol/raft.hxx"
#include "raft_server.hxx"
#include "server/append_signal.hxx"
#include "server/apply_gate.hxx"
#include "server/client_batch.hxx"
#include "server/commit_watchers.hxx"
#include "server/connections.hxx"
#include "server/forwarder.hxx"
#include "server/log.hxx"
#include "server/log_reader.hxx"
#include "server/snapshot_transfers.hxx"
#include "server/status.hxx"
#include "server/timers.hxx"
#include "server/work_slot.hxx"

namespace nuraft {

/// Corrects parameters that do not fit each other (behaviour 1.1).
raft_params sanitised(raft_params p, bool test_mode);

/// What `raft_server` shows of a peer's record; see exposed.cxx.
using shown_face = std::tuple<uint64_t, uint64_t, uint64_t, uint64_t, int64_t, int32_t, int32_t,
                              uint64_t, uint64_t, bool, bool, bool, bool, bool, bool, bool, bool>;

/// The server around the deterministic protocol. Every way in is: lock, step, queue the effects,
/// unlock, drain. One thread at a time drains: it carries out queued effects in step order without
/// the lock. So the program's objects and all I/O run unlocked, and never overtake each other.
///
/// Locks: `lock_` guards the protocol and the queue; the log store is read, and rarely changed,
/// under it. `status_lock_` guards the copy of the state that getters see, and is taken last. The
/// parts (gate, batches, watchers, ...) have locks of their own and call nothing back under them.
///
/// Threads: the commit thread applies entries and never drains, because a drain may wait for it.
/// The append thread sends what proposals left behind, drains for the commit thread, and listens
/// to the log store. Everything else runs on whoever enters: timers, transport, program.
class raft_server::impl : public std::enable_shared_from_this<raft_server::impl> {
public:
    using command_result = cmd_result<ptr<buffer>>;
    using read_result = cmd_result<uint64_t>;
    using response_handler = std::function<void(ptr<resp_msg>)>;

    /// Takes ownership of `ctx`.
    static std::shared_ptr<impl> create(context* ctx, const init_options& opt);
    impl(context* ctx, const init_options& opt);  ///< For `create` only.
    ~impl();

    // lifecycle.cxx
    void start(bool skip_election_timer);
    void stop();
    void shutdown();
    /// Whom to show the state to, from now on; null: nobody any more.
    void set_owner(raft_server* owner);

    // background.cxx: a worker's turns
    bool commit_slice(uint64_t limit_ms);
    void append_round();

    // exposed.cxx: what classes derived from `raft_server` see and may do
    protocol::inner_view inner() const;
    int32_t quorum(bool for_commit) const;
    std::vector<std::pair<ptr<peer>, uint64_t>> voting_peers() const;
    size_t stale_peers() const;

    // receive.cxx: requests of other servers
    void process_async(const ptr<req_msg>& req, const response_handler& done);
    ptr<resp_msg> process(req_msg& req, const req_ext_params& ext);

    // requests.cxx: requests of clients
    ptr<command_result> append_entries(const std::vector<ptr<buffer>>& logs,
                                       const req_ext_params& ext);

    // read_index.cxx
    ptr<read_result> read_index();

    // admin.cxx
    ptr<command_result> add_server(const ptr<srv_config>& server);
    ptr<command_result> remove_server(int32_t server);
    ptr<command_result> set_learner(int32_t server, bool to);
    PrioritySetResult set_priority(int32_t server, int32_t priority, bool broadcast_when_leader,
                                   bool broadcast_always);
    void yield_leadership(bool immediate, int32_t successor);
    bool request_leadership();
    void set_user_context(const std::string& context);
    bool update_server(const ptr<srv_config>& server);
    void request_reconnect();
    void restart_election_timer();
    void update_params(const raft_params& to);
    void set_term_function(const srv_state::inc_term_func& to);

    // snapshots.cxx
    uint64_t create_snapshot(bool serialize_commit);
    ptr<cmd_result<uint64_t>> schedule_snapshot();

    // apply.cxx
    void pause_applying(uint64_t timeout_ms);
    void resume_applying() { gate_.resume(); }
    bool applying_paused() const { return gate_.paused(); }
    bool wait_applying_idle(uint64_t timeout_ms);
    ptr<cmd_result<bool>> watch(uint64_t index);

    // queries.cxx
    server_status view() const;
    std::vector<peer_info> peer_infos() const;
    raft_params params() const;
    bool part_of_full_consensus() const;
    bool set_self_mark_down(bool to);
    uint64_t expected_commit_index();

    int32_t id() const { return id_; }
    uint64_t applied() const { return gate_.applied(); }
    const ptr<log_store>& store() const { return store_; }
    void log_completion(bool ok) { append_signal_.log_completion(ok); }

    // entry.cxx
    void enter(const protocol::input& in);

    // events.cxx
    CbReturnCode event(cb_func::Type type, int32_t peer = -1, void* ctx = nullptr);
    CbReturnCode call_back(cb_func::Type type, cb_func::Param* param);

    // What `raft_server` refers to from its protected section.
    friend class raft_server;

private:
    /// One step's effects, consumed from the front as they are carried out, or a piece of work that
    /// must keep its place among them.
    struct job {
        protocol::effects fx;
        size_t at = 0;  ///< Next element of the first list in `fx` that is not empty.
        std::function<void()> task;
    };

    /// A peer as shown, what of, and what its clocks were set for.
    struct shown {
        ptr<peer> view;            ///< Null: none was made yet.
        ptr<srv_config> settings;  ///< With which it was made.
        shown_face face;
        protocol::time_ms last_response = 0;
        protocol::time_ms last_activity = 0;
    };

    // lifecycle.cxx
    protocol::recovered recover();
    void close_gap(const ptr<snapshot>& last);
    void release_resources();
    void cancel_waiting();
    void join(std::thread& t);
    void on_timer(protocol::timer_kind kind, int32_t peer);
    protocol::settings make_settings(const raft_params& p) const;

    // background.cxx
    void start_threads();
    void join_manager(global_mgr& manager);
    void leave_manager();

    // entry.cxx
    void enter_task(std::function<void()> task);
    std::optional<protocol::answer> ask(protocol::input in, uint64_t number);
    uint64_t take_number();
    protocol::time_ms now() const;
    protocol::effects step(const protocol::input& in);
    void step_and_queue(const protocol::input& in);
    void answer_questions(protocol::effects& fx);
    uint64_t term_after(uint64_t current);
    uint64_t adjusted(const protocol::commit_question& question);
    void publish();
    void queue(protocol::effects fx);

    // exposed.cxx
    void show();
    void show_peers(const protocol::inner_view& v);
    void show_peer(shown& s, const protocol::peer_progress& p, bool leaving);
    ptr<peer> new_shown_peer(ptr<srv_config> server) const;
    ptr<peer> shown_peer(int32_t id) const;

    // receive.cxx
    void receive(const ptr<req_msg>& req, const response_handler& done);
    bool asks_program_first(const req_msg& req, bool& declined);
    void reply(const protocol::reply& r);
    response_handler take_waiting(uint64_t number);

    // drain.cxx
    void drain();
    void drain(std::unique_lock<std::recursive_mutex>& guard);
    bool run_next(job& j);
    bool run_guarded(job& j);
    bool pump_once();
    void fail(int code, const std::string& why);

    // persist.cxx
    void save_state(const protocol::hard_state& state);
    void write_log(protocol::log_write w);
    void roll_back(uint64_t first, uint64_t end);
    ptr<buffer> store_entry(uint64_t index, ptr<log_entry>& entry, const ptr<client_batch>& batch);
    void finish_client_write(const ptr<client_batch>& batch, const ptr<buffer>& value,
                             uint64_t last);
    void after_write(uint64_t number, uint64_t last);
    void sample_durable();
    void on_write_failed();
    void install_pack(const protocol::install_pack& p);

    // send.cxx
    void send(protocol::outgoing& o);
    void on_sent(uint64_t number, const ptr<resp_msg>& resp, const ptr<rpc_exception>& error);

    // notices.cxx
    void on_notice(const protocol::notice& n, protocol::effects& rest);
    void on_became_follower(const protocol::notice& n);
    void on_quorum_adjustment_wanted();
    bool program_lets_go(int32_t successor);

    // apply.cxx
    using steady_time = std::chrono::steady_clock::time_point;
    void commit_loop();
    bool apply_some(steady_time deadline);
    void apply_one(uint64_t index);
    void apply_command(uint64_t index, log_entry& entry);
    void apply_config(uint64_t index, log_entry& entry);
    void deliver_results();
    void tell_progress_if_awaited();
    void after_applying();
    void reset_applied(uint64_t to);

    // requests.cxx
    struct proposed {
        ptr<client_batch> batch;  ///< Null: refused.
        cmd_result_code refusal = cmd_result_code::OK;
    };
    proposed propose(std::vector<ptr<log_entry>> entries, const req_ext_params& ext, bool blocking);
    void wait_if_needed(client_batch& batch);
    ptr<command_result> await(const ptr<client_batch>& batch);
    void receive_client_request(const ptr<req_msg>& req, const response_handler& done);
    ptr<resp_msg> process_client_request(const ptr<req_msg>& req, const req_ext_params& ext);
    cmd_result_code check_client_request(req_msg& req) const;
    ptr<resp_msg> make_response(const req_msg& req, cmd_result_code code) const;
    void append_loop();
    void do_signalled(const append_signal::work& work);

    // admin.cxx
    ptr<resp_msg> answer_admin_request(const ptr<req_msg>& req);
    std::optional<protocol::answer> ask_add(const ptr<srv_config>& server);
    std::optional<protocol::answer> ask_remove(int32_t server);

    // read_index.cxx
    void read_here(const ptr<read_result>& result);
    void read_through(int32_t leader, const ptr<read_result>& result);
    void answer_read(const protocol::read_answer& answer);
    void cancel_reads();

    // forward.cxx
    ptr<command_result> forward(const ptr<req_msg>& req);

    // snapshots.cxx
    void snapshot_after(uint64_t index);
    bool snapshot_due(uint64_t index);
    bool ask_and_begin_snapshot(uint64_t index);
    bool begin_snapshot(uint64_t index);
    void on_snapshot_created(uint64_t index, bool ok, const ptr<std::exception>& error);
    void compact_behind(uint64_t snapshot_index);
    void finish_scheduled(uint64_t index, cmd_result_code code, bool even_if_not_begun = false);
    void read_object(const protocol::read_object& r);
    void read_object_now(const protocol::read_object& r);

    // install.cxx
    void save_object(const protocol::save_object& s);
    bool install(const protocol::save_object& s, uint64_t next);
    bool cut_log(const ptr<snapshot>& meta, bool discard);

    bool on_own_thread() const;
    bool on_commit_thread() const { return std::this_thread::get_id() == commit_thread_id_; }

    // Fixed after construction.
    std::unique_ptr<context> ctx_;
    const ptr<logger> log_;  ///< Also after shutdown, when the context has none any more.
    const ptr<state_mgr> state_mgr_;
    const ptr<state_machine> state_machine_;
    const int32_t id_;
    const bool test_mode_;
    const ptr<log_store> store_;
    cb_func callback_;
    const std::chrono::steady_clock::time_point epoch_ = std::chrono::steady_clock::now();
    uint64_t seed_ = 0;
    std::string unfit_to_start_;  ///< Why the program's data cannot be continued; empty: it can.

    /// Recursive only so that the program may query the server while it is asked something.
    mutable std::recursive_mutex lock_;
    std::condition_variable_any drained_;
    log_reader log_reader_;  ///< Guarded by `lock_`, as all to the next blank line.
    std::unique_ptr<protocol::raft> raft_;
    std::deque<job> queue_;
    bool draining_ = false;
    bool asking_ = false;  ///< `adjust_commit_index` or the term function runs.
    srv_state::inc_term_func term_function_;
    uint64_t told_applied_ = 0;               ///< What the protocol knows of the state machine.
    bool reconnect_at_once_ = false;          ///< As the protocol knows it.
    std::vector<protocol::input> postponed_;  ///< Entered meanwhile.
    uint64_t next_number_ = 1;
    std::map<uint64_t, response_handler> waiting_;  ///< Requests that have no reply yet.
    std::map<uint64_t, ptr<read_result>> reads_;    ///< Of this server's program, not answered yet.
    raft_server* owner_ = nullptr;                  ///< Null until it is built, and when it goes.
    const raft_server* owner_address_ = nullptr;    ///< Only a name: what it was is not to be used.
    std::map<int32_t, shown> shown_;                ///< What derived classes see of each peer.
    shown shown_joining_;                           ///< Likewise of a server that joins.
    bool poke_wanted_ = false;  ///< The commit thread shall look at its other duties.

    /// Never switched off again: what was written meanwhile may still be on its way to the disk.
    std::atomic<bool> parallel_appending_;
    std::atomic<bool> stopping_{false};  ///< Written under `lock_`.
    std::atomic<bool> failed_{false};
    std::atomic<bool> started_{false};
    std::atomic<std::thread::id> drainer_{std::thread::id()};

    mutable std::mutex status_lock_;
    server_status status_;  ///< Guarded by `status_lock_`.
    // Those of `status_`, for those who need no more.
    std::atomic<int32_t> known_leader_{-1};
    std::atomic<bool> machine_is_awaited_{false};

    // Parts that lock themselves.
    const ptr<snapshot_transfers> transfers_;
    apply_gate gate_;
    append_signal append_signal_;
    client_batches batches_;
    commit_watchers watchers_;
    timers timers_;
    ptr<forwarder> forwarder_;

    // The drainer's.
    connections connections_;
    uint64_t last_write_ = 0;  ///< Number of the last write handed to the log store.
    bool sending_ = false;     ///< A transport's `send` is on the stack.
    bool pumped_ = false;      ///< Work was done from within another piece of work.

    // The commit thread's.
    std::atomic<bool> fresh_{false};

    // Snapshot creation.
    std::atomic<bool> creating_{false};
    std::atomic<bool> snapshot_wanted_{false};
    int32_t first_distance_ = 0;  ///< Drawn at construction; 0: no difference.
    std::mutex scheduled_lock_;
    ptr<cmd_result<uint64_t>> scheduled_;  ///< Guarded by `scheduled_lock_`, as the next.
    bool scheduled_running_ = false;       ///< The creation under way is for it.
    std::atomic<bool> is_scheduled_{false};

    std::atomic<uint64_t> deliverable_{0};  ///< Results up to here may go to clients once applied.

    std::mutex lifecycle_lock_;  ///< Held during `start` and `shutdown`.
    bool shut_down_ = false;     ///< Guarded by `lifecycle_lock_`, as the threads.
    std::thread commit_thread_;
    std::thread append_thread_;
    std::atomic<global_mgr*> manager_{nullptr};  ///< Null: threads of its own.
    work_slot commit_slot_;
    work_slot append_slot_;
    std::atomic<bool> commit_stopped_{true};
    std::atomic<bool> append_stopped_{true};
    std::atomic<std::thread::id> commit_thread_id_{std::thread::id()};
    std::atomic<std::thread::id> append_thread_id_{std::thread::id()};
};

}  // namespace nuraft
