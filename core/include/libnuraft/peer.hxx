#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "basic_types.hxx"
#include "context.hxx"
#include "delayed_task.hxx"
#include "delayed_task_scheduler.hxx"
#include "internal_timer.hxx"
#include "logger.hxx"
#include "msg_type.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "req_msg.hxx"
#include "rpc_cli.hxx"
#include "rpc_cli_factory.hxx"
#include "snapshot_sync_ctx.hxx"
#include "srv_config.hxx"
#include "timer_task.hxx"

namespace nuraft {

/// A record of another server, and the way to it. A `raft_server` keeps its own records and shows
/// each of them as a `peer` (`resp_msg::get_peer`, and what derived classes see): such a peer is
/// for reading, and has no connection. Thread-safe; `set_config` wants `get_lock()` held.
class peer {
    __nocopy__(peer);

public:
    /// Creates a client through the context's factory, if it has one, and a heartbeat task that
    /// calls `hb_exec` with the server's id.
    peer(ptr<srv_config>& config, const context& ctx, timer_task<int32>::executor& hb_exec,
         ptr<logger>& logger);

    // Who it is
    int32 get_id() const { return config_->get_id(); }
    const std::string& get_endpoint() const { return config_->get_endpoint(); }
    bool is_learner() const { return config_->is_learner(); }
    bool is_new_joiner() const { return config_->is_new_joiner(); }
    const srv_config& get_config() { return *config_; }
    void set_config(ptr<srv_config> new_config) { config_ = new_config; }
    std::mutex& get_lock() { return lock_; }

    // Heartbeats; milliseconds
    ptr<delayed_task>& get_hb_task() { return hb_task_; }
    int32 get_current_hb_interval() const { return current_hb_interval_; }
    bool is_hb_enabled() const { return hb_enabled_; }
    /// Disabling cancels the task. Without effect after `shutdown`.
    void enable_hb(bool enable);
    /// Longer by `rpc_failure_backoff_`, up to `max_hb_interval()`.
    void slow_down_hb();
    void resume_hb_speed() { current_hb_interval_ = hb_interval_.load(); }
    void set_hb_interval(int32 new_interval);

    // Busy: a request is unanswered. `make_busy`: false if it was busy before.
    bool make_busy() { return !busy_.exchange(true); }
    bool is_busy() { return busy_; }
    void set_free() { busy_ = false; }
    /// After a request of this type; a streamed append did not make the peer busy.
    void try_set_free(msg_type type, bool streaming);

    // Positions in the log
    ulong get_next_log_idx() const { return next_log_idx_; }
    void set_next_log_idx(ulong idx) { next_log_idx_ = idx; }
    uint64_t get_last_accepted_log_idx() const { return last_accepted_log_idx_; }
    void set_last_accepted_log_idx(uint64_t to) { last_accepted_log_idx_ = to; }
    uint64_t get_sm_committed_idx() const { return sm_committed_idx_; }
    void set_sm_committed_idx(uint64_t to) { sm_committed_idx_ = to; }
    ulong get_matched_idx() const { return matched_idx_; }
    void set_matched_idx(ulong idx) { matched_idx_ = idx; }
    int64 get_next_batch_size_hint_in_bytes() const { return next_batch_size_hint_; }
    void set_next_batch_size_hint_in_bytes(int64 batch_size) { next_batch_size_hint_ = batch_size; }
    void set_last_sent_idx(ulong to) { last_sent_idx_ = to; }
    ulong get_last_sent_idx() const { return last_sent_idx_; }
    /// Requests in a row that began with the same entry.
    void reset_cnt_not_applied() { cnt_not_applied_ = 0; }
    int32 inc_cnt_not_applied() { return ++cnt_not_applied_; }
    int32 get_cnt_not_applied() const { return cnt_not_applied_; }

    /// A commit could not be announced because the peer was busy.
    void set_pending_commit() { pending_commit_ = true; }
    /// True if it was set.
    bool clear_pending_commit() { return pending_commit_.exchange(false); }

    // Snapshots
    /// Begins a transfer; null ends it.
    void set_snapshot_in_sync(const ptr<snapshot>& s, ulong timeout_ms = 10 * 1000);
    /// Null: no transfer.
    ptr<snapshot_sync_ctx> get_snapshot_sync_ctx() const;
    void set_snapshot_sync_is_needed(bool to) { snapshot_sync_is_needed_ = to; }
    bool is_snapshot_sync_needed() const { return snapshot_sync_is_needed_; }

    // Sending
    /// Calls `handler` once, with an answer or an error; not at all after `shutdown`, and not with
    /// the answer of a client that was replaced meanwhile. An error drops the client. `myself` is
    /// this peer, kept until then and found in the answer.
    void send_req(ptr<peer> myself, ptr<req_msg>& req, rpc_handler& handler,
                  bool streaming = false);
    /// A new client in place of the old. False: the last attempt is too recent, or there is no
    /// factory. The wait grows with each attempt, from 1 ms to a heartbeat, until an answer comes.
    bool recreate_rpc(ptr<srv_config>& config, context& ctx);
    /// For good: drops the client, disables heartbeats.
    void shutdown();

    // Clocks; microseconds since the last request, success and activity
    void reset_ls_timer() { last_sent_timer_.reset(); }
    uint64_t get_ls_timer_us() { return last_sent_timer_.get_us(); }
    void reset_resp_timer() { last_resp_timer_.reset(); }
    uint64_t get_resp_timer_us() { return last_resp_timer_.get_us(); }
    void reset_active_timer() { last_active_timer_.reset(); }
    uint64_t get_active_timer_us() { return last_active_timer_.get_us(); }

    // Counters
    void reset_long_pause_warnings() { long_pause_warnings_ = 0; }
    void inc_long_pause_warnings() { ++long_pause_warnings_; }
    int32 get_long_puase_warnings() { return long_pause_warnings_; }
    void reset_recovery_cnt() { recovery_cnt_ = 0; }
    void inc_recovery_cnt() { ++recovery_cnt_; }
    int32 get_recovery_cnt() const { return recovery_cnt_; }
    void reset_rpc_errs() { rpc_errs_ = 0; }
    void inc_rpc_errs() { ++rpc_errs_; }
    int32 get_rpc_errs() { return rpc_errs_; }
    void reset_stale_rpc_responses() { stale_rpc_responses_ = 0; }
    /// Returns the old value.
    int32_t inc_stale_rpc_responses() { return stale_rpc_responses_++; }
    int32_t get_stale_rpc_responses() { return stale_rpc_responses_; }

    // The program freed the peer by hand
    void reset_manual_free() { manual_free_ = false; }
    void set_manual_free() { manual_free_ = true; }
    bool is_manual_free() { return manual_free_; }

    // Leaving the cluster
    void step_down() { stepping_down_ = true; }
    bool is_stepping_down() const { return stepping_down_; }
    void set_leave_flag() { leave_requested_ = true; }
    bool is_leave_flag_set() const { return leave_requested_; }
    void inc_hb_cnt_since_leave() { ++hb_cnt_since_leave_; }
    int32 get_hb_cnt_since_leave() const { return hb_cnt_since_leave_; }

    // Connecting again
    /// Due in 3 seconds.
    void schedule_reconnection();
    void clear_reconnection() { reconnection_scheduled_ = false; }
    /// It is due, or there is no client.
    bool need_to_reconnect();

    // Not to log the same error again and again
    void set_suppress_following_error() { suppress_following_error_ = true; }
    /// Takes the flag back.
    bool need_to_suppress_error() { return suppress_following_error_.exchange(false); }

    // A message kept for later
    void set_rsv_msg(const ptr<req_msg>& m, const rpc_handler& h);
    ptr<req_msg> get_rsv_msg() const;
    rpc_handler get_rsv_msg_handler() const;

    // Streaming
    ulong get_last_streamed_log_idx() { return last_streamed_log_idx_; }
    /// Only if it is `expected` still.
    void set_last_streamed_log_idx(ulong expected, ulong idx) {
        last_streamed_log_idx_.compare_exchange_strong(expected, idx);
    }
    void reset_stream() { last_streamed_log_idx_ = 0; }
    int64_t get_bytes_in_flight() { return bytes_in_flight_; }
    void bytes_in_flight_add(size_t req_size_bytes) {
        bytes_in_flight_ += static_cast<int64_t>(req_size_bytes);
    }
    void bytes_in_flight_sub(size_t req_size_bytes) {
        bytes_in_flight_ -= static_cast<int64_t>(req_size_bytes);
    }
    void reset_bytes_in_flight() { bytes_in_flight_ = 0; }

    // Health
    bool is_lost() const { return lost_; }
    void set_lost() { lost_ = true; }
    void set_recovered() { lost_ = false; }
    bool is_self_mark_down() const { return self_mark_down_; }
    /// Returns the old value.
    bool set_self_mark_down(bool to) { return self_mark_down_.exchange(to); }

private:
    void on_answer(uint64_t client, const ptr<peer>& myself, const ptr<req_msg>& req,
                   const rpc_handler& handler, bool streaming, ptr<resp_msg>& resp,
                   ptr<rpc_exception>& error);

    ptr<srv_config> config_;  ///< Guarded by `lock_`.
    const ptr<delayed_task_scheduler> scheduler_;
    const ptr<raft_params> params_;
    const ptr<logger> log_;
    std::mutex lock_;

    ptr<delayed_task> hb_task_;
    std::atomic<int32> hb_interval_;
    std::atomic<int32> current_hb_interval_;
    std::atomic<bool> hb_enabled_{false};

    std::atomic<bool> busy_{false};
    std::atomic<bool> abandoned_{false};
    std::atomic<bool> pending_commit_{false};
    std::atomic<ulong> next_log_idx_{0};
    std::atomic<uint64_t> last_accepted_log_idx_{0};
    std::atomic<uint64_t> sm_committed_idx_{0};
    std::atomic<ulong> matched_idx_{0};
    std::atomic<int64> next_batch_size_hint_{0};
    std::atomic<ulong> last_sent_idx_{0};
    std::atomic<int32> cnt_not_applied_{0};
    std::atomic<bool> snapshot_sync_is_needed_{false};

    timer_helper last_sent_timer_;
    timer_helper last_resp_timer_;
    timer_helper last_active_timer_;
    std::atomic<int32> long_pause_warnings_{0};
    std::atomic<int32> recovery_cnt_{0};
    std::atomic<int32> rpc_errs_{0};
    std::atomic<int32_t> stale_rpc_responses_{0};
    std::atomic<bool> manual_free_{false};
    std::atomic<bool> stepping_down_{false};
    std::atomic<bool> leave_requested_{false};
    std::atomic<int32> hb_cnt_since_leave_{0};
    std::atomic<bool> reconnection_scheduled_{false};
    std::atomic<bool> suppress_following_error_{false};
    std::atomic<ulong> last_streamed_log_idx_{0};
    std::atomic<int64_t> bytes_in_flight_{0};
    std::atomic<bool> lost_{false};
    std::atomic<bool> self_mark_down_{false};

    mutable std::mutex parts_lock_;
    ptr<rpc_client> client_;  ///< Guarded by `parts_lock_`, as all below.
    ptr<snapshot_sync_ctx> transfer_;
    ptr<req_msg> reserved_msg_;
    rpc_handler reserved_handler_;
    timer_helper dial_timer_;  ///< Its duration is the wait for the next attempt.
    timer_helper reconnection_timer_;
};

}  // namespace nuraft
