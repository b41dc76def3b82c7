#pragma once

#include <cstdint>

#include "basic_types.hxx"

namespace nuraft {

/// Settings of a server. Times are in milliseconds.
struct raft_params {
    enum return_method_type {
        blocking = 0x0,       ///< `append_entries` returns when the entry is committed.
        async_handler = 0x1,  ///< It returns at once; the result comes later.
    };

    /// Kept for source compatibility: which lock client requests take is no matter of the caller.
    enum locking_method_type {
        single_mutex = 0x0,
        dual_mutex = 0x1,
        dual_rw_lock = 0x2,
    };

    enum priority_decay_method {
        arithmetic_decay = 0x0,  ///< Minus max(10, target / 5), not below 1.
        tiered_decay = 0x1,      ///< The next lower priority among the members, not below 1.
    };

    raft_params()
        : election_timeout_upper_bound_(500),
          election_timeout_lower_bound_(250),
          heart_beat_interval_(125),
          rpc_failure_backoff_(50),
          log_sync_batch_size_(1000),
          log_sync_stop_gap_(99999),
          snapshot_distance_(0),
          snapshot_block_size_(0),
          snapshot_sync_ctx_timeout_(0),
          enable_randomized_snapshot_creation_(false),
          max_append_size_(100),
          reserved_log_items_(100000),
          client_req_timeout_(3000),
          fresh_log_gap_(200),
          stale_log_gap_(2000),
          custom_commit_quorum_size_(0),
          custom_election_quorum_size_(0),
          leadership_expiry_(0),
          leadership_transfer_min_wait_time_(0),
          allow_temporary_zero_priority_leader_(true),
          auto_forwarding_(false),
          auto_forwarding_max_connections_(10),
          use_bg_thread_for_urgent_commit_(true),
          exclude_snp_receiver_from_quorum_(false),
          auto_adjust_quorum_for_small_cluster_(false),
          locking_method_type_(dual_mutex),
          return_method_(blocking),
          auto_forwarding_req_timeout_(0),
          grace_period_of_lagging_state_machine_(0),
          use_new_joiner_type_(false),
          use_bg_thread_for_snapshot_io_(false),
          use_full_consensus_among_healthy_members_(false),
          track_peers_sm_commit_idx_(false),
          parallel_log_appending_(false),
          max_log_gap_in_stream_(0),
          max_bytes_in_flight_in_stream_(0),
          priority_decay_method_(arithmetic_decay),
          wait_for_sm_catchup_on_becoming_leader_(false) {}

    raft_params& with_election_timeout_upper(int32 timeout) {
        election_timeout_upper_bound_ = timeout;
        return *this;
    }
    raft_params& with_election_timeout_lower(int32 timeout) {
        election_timeout_lower_bound_ = timeout;
        return *this;
    }
    raft_params& with_hb_interval(int32 hb_interval) {
        heart_beat_interval_ = hb_interval;
        return *this;
    }
    raft_params& with_rpc_failure_backoff(int32 backoff) {
        rpc_failure_backoff_ = backoff;
        return *this;
    }
    raft_params& with_max_append_size(int32 size) {
        max_append_size_ = size;
        return *this;
    }
    raft_params& with_log_sync_batch_size(int32 batch_size) {
        log_sync_batch_size_ = batch_size;
        return *this;
    }
    raft_params& with_log_sync_stopping_gap(int32 gap) {
        log_sync_stop_gap_ = gap;
        return *this;
    }
    raft_params& with_snapshot_enabled(int32 commit_distance) {
        snapshot_distance_ = commit_distance;
        return *this;
    }
    raft_params& with_randomized_snapshot_creation_enabled(bool enabled) {
        enable_randomized_snapshot_creation_ = enabled;
        return *this;
    }
    raft_params& with_snapshot_sync_block_size(int32 size) {
        snapshot_block_size_ = size;
        return *this;
    }
    raft_params& with_snapshot_sync_ctx_timeout(int32 timeout_ms) {
        snapshot_sync_ctx_timeout_ = timeout_ms;
        return *this;
    }
    raft_params& with_reserved_log_items(int number_of_logs) {
        reserved_log_items_ = number_of_logs;
        return *this;
    }
    raft_params& with_client_req_timeout(int timeout) {
        client_req_timeout_ = timeout;
        return *this;
    }
    raft_params& with_auto_forwarding(bool enable) {
        auto_forwarding_ = enable;
        return *this;
    }
    raft_params& with_fresh_log_gap(int32 new_gap) {
        fresh_log_gap_ = new_gap;
        return *this;
    }
    raft_params& with_stale_log_gap(int32 new_gap) {
        stale_log_gap_ = new_gap;
        return *this;
    }
    raft_params& with_custom_commit_quorum_size(int32 new_size) {
        custom_commit_quorum_size_ = new_size;
        return *this;
    }
    raft_params& with_custom_election_quorum_size(int32 new_size) {
        custom_election_quorum_size_ = new_size;
        return *this;
    }
    raft_params& with_leadership_expiry(int32 expiry_ms) {
        leadership_expiry_ = expiry_ms;
        return *this;
    }
    raft_params& with_auto_forwarding_req_timeout(int32 timeout_ms) {
        auto_forwarding_req_timeout_ = timeout_ms;
        return *this;
    }

    /// The slowest heartbeat that still comes before the shortest election timeout, at least
    /// `heart_beat_interval_`.
    int max_hb_interval() const {
        const int32 slowest = election_timeout_lower_bound_ - heart_beat_interval_ / 2;
        return slowest > heart_beat_interval_ ? slowest : heart_beat_interval_;
    }

    /// The election timer is uniform between the two bounds.
    int32 election_timeout_upper_bound_;
    int32 election_timeout_lower_bound_;
    int32 heart_beat_interval_;
    /// Added to a peer's heartbeat interval at each RPC failure; also the delay before a starting
    /// server arms its election timer.
    int32 rpc_failure_backoff_;
    /// Most entries in a pack for a joining server.
    int32 log_sync_batch_size_;
    /// A joining server enters the configuration once it is less than this many entries behind; 0:
    /// at once.
    int32 log_sync_stop_gap_;
    /// Entries between snapshots; 0: none are made automatically.
    int32 snapshot_distance_;
    /// Bytes of a chunk of a raw snapshot; 0: 4096.
    int32 snapshot_block_size_;
    /// Time for one object of a snapshot; 0: heartbeat * `limits::response_limit_`.
    int32 snapshot_sync_ctx_timeout_;
    /// Makes the first snapshot at a random distance, so that servers do not all do it at once.
    bool enable_randomized_snapshot_creation_;
    /// Most entries in an append request.
    int32 max_append_size_;
    /// Entries kept behind the last snapshot.
    int32 reserved_log_items_;
    /// Longest wait of a blocking `append_entries`; 0: no limit.
    int32 client_req_timeout_;
    /// A stale follower becomes fresh when it is less than this behind.
    int32 fresh_log_gap_;
    /// A fresh follower becomes stale when it is more than this behind.
    int32 stale_log_gap_;
    /// Members needed to commit, the leader included; 0 and less, or more than there are voters: a
    /// majority.
    int32 custom_commit_quorum_size_;
    /// The same for elections.
    int32 custom_election_quorum_size_;
    /// A leader steps down when a quorum was silent for so long; 0: heartbeat *
    /// `limits::leadership_limit_`; negative: never.
    int32 leadership_expiry_;
    /// Least time as leader before leadership moves to the peer of highest priority; 0: never does.
    int32 leadership_transfer_min_wait_time_;
    /// A server of priority 0 may lead for a while when nobody else can.
    bool allow_temporary_zero_priority_leader_;
    /// Others than the leader pass client and membership requests on to it.
    bool auto_forwarding_;
    int32 auto_forwarding_max_connections_;
    /// Replicate from a background thread after `append_entries`, not in the calling one.
    bool use_bg_thread_for_urgent_commit_;
    /// A peer that receives a snapshot does not count for the size of the commit quorum, as far as
    /// that still meets every election quorum.
    bool exclude_snp_receiver_from_quorum_;
    /// With two voters, either alone is a quorum while the other is away, if the program agrees to
    /// `cb_func::AutoAdjustQuorum`. Unsafe: two that are cut off from each other may both commit,
    /// and one of them loses that later. Let `set_inc_term_func` keep their terms apart.
    bool auto_adjust_quorum_for_small_cluster_;
    locking_method_type locking_method_type_;
    return_method_type return_method_;
    /// For forwarded requests; 0: none.
    int32 auto_forwarding_req_timeout_;
    /// How long, once for each leader that was lost, a server whose state machine is behind puts
    /// off standing for election.
    int32 grace_period_of_lagging_state_machine_;
    /// Added servers enter the configuration at once, flagged as new joiners.
    bool use_new_joiner_type_;
    /// Read snapshot objects in a background thread.
    bool use_bg_thread_for_snapshot_io_;
    /// Commit only what every healthy member has. Without effect while `custom_commit_quorum_size_`
    /// is set.
    bool use_full_consensus_among_healthy_members_;
    /// Deliver results only after healthy peers have applied the entry.
    bool track_peers_sm_commit_idx_;
    /// The log store writes while replication goes on; see
    /// `raft_server::notify_log_append_completion`. Can be switched on, but not off again, while
    /// the server runs.
    bool parallel_log_appending_;
    /// Entries in flight to a peer; 0: one request at a time. Needs `streaming_mode_` in the
    /// options of `asio_service`.
    int32 max_log_gap_in_stream_;
    /// Bytes in flight to a peer; 0: no limit.
    int64_t max_bytes_in_flight_in_stream_;
    priority_decay_method priority_decay_method_;
    /// Hide leadership until the state machine has applied what was in the log at the election.
    bool wait_for_sm_catchup_on_becoming_leader_;
};

}  // namespace nuraft
