#include "debugging_options.hxx"
#include "error_code.hxx"
#include "server/impl.hxx"

// Construction, start and end of a server (behaviour 2, 34).

namespace nuraft {

using namespace protocol;

namespace {

/// Spreads the bits of a seed (the finaliser of SplitMix64, a public-domain generator).
uint64_t mixed(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

}  // namespace

raft_params sanitised(raft_params p, bool test_mode) {
    if (test_mode) return p;
    if (p.heart_beat_interval_ >= p.election_timeout_lower_bound_) {
        p.election_timeout_lower_bound_ = 2 * p.heart_beat_interval_;
    }
    if (p.election_timeout_lower_bound_ >= p.election_timeout_upper_bound_) {
        p.election_timeout_upper_bound_ = 2 * p.election_timeout_lower_bound_;
    }
    return p;
}

raft_server::impl::impl(context* ctx, const init_options& opt)
    : ctx_(ctx),
      log_(ctx->logger_),
      state_mgr_(ctx->state_mgr_),
      state_machine_(ctx->state_machine_),
      id_(state_mgr_->server_id()),
      test_mode_(opt.test_mode_flag_),
      store_(state_mgr_->load_log_store()),
      log_reader_(store_),
      parallel_appending_(ctx->get_params()->parallel_log_appending_),
      transfers_(cs_new<snapshot_transfers>(state_machine_, log_)),
      gate_(state_machine_->last_commit_index()),
      timers_(ctx->scheduler_),
      forwarder_(cs_new<forwarder>(ctx->rpc_cli_factory_)),
      connections_(ctx->rpc_cli_factory_) {
    if (opt.raft_callback_) ctx_->set_cb_func(opt.raft_callback_);
    callback_ = ctx_->cb_func_;
    raft_params p = sanitised(*ctx_->get_params(), test_mode_);
    p.stale_log_gap_ = std::max(p.stale_log_gap_, p.fresh_log_gap_);
    auto shared = cs_new<raft_params>(p);
    ctx_->set_params(shared);

    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    seed_ = mixed(static_cast<uint64_t>(since_epoch.count()) * static_cast<uint64_t>(id_));
    const recovered from = recover();
    if (p.enable_randomized_snapshot_creation_ && !from.last_snapshot && p.snapshot_distance_ > 1) {
        const int32_t half = p.snapshot_distance_ / 2;
        const int32_t most = std::max(half, p.snapshot_distance_ - 1);
        first_distance_ =
            half + static_cast<int32_t>(mixed(seed_) % static_cast<uint64_t>(most - half + 1));
    }
    raft_ = std::make_unique<raft>(make_settings(p), seed_, log_reader_, from);
    for (const ptr<srv_config>& server : from.config->get_servers()) {
        if (server->get_id() == id_) continue;
        connections_.change({connection_change::open, server->get_id(), server->get_endpoint()});
    }
    publish();
    SERVER_LOG(log_, log_info, "server %d: %s", id_, raft_->describe().c_str());
}

std::shared_ptr<raft_server::impl> raft_server::impl::create(context* ctx,
                                                             const init_options& opt) {
    auto made = std::make_shared<impl>(ctx, opt);
    std::weak_ptr<impl> weak = made;
    made->timers_.on_fire([weak](timer_kind kind, int32_t peer) {
        if (ptr<impl> self = weak.lock()) self->on_timer(kind, peer);
    });
    return made;
}

raft_server::impl::~impl() {
    release_resources();
}

settings raft_server::impl::make_settings(const raft_params& p) const {
    const limits l = raft_server::get_raft_limits();
    settings s;
    s.id = id_;
    s.params = p;
    s.limits.pre_vote_rejection = l.pre_vote_rejection_limit_;
    s.limits.warning = l.warning_limit_;
    s.limits.response = l.response_limit_;
    s.limits.leadership = l.leadership_limit_;
    s.limits.reconnect = l.reconnect_limit_;
    s.limits.leave = l.leave_limit_;
    s.limits.vote = l.vote_limit_;
    s.limits.busy_connection = l.busy_connection_limit_;
    s.limits.full_consensus_leader = l.full_consensus_leader_limit_;
    s.limits.full_consensus_follower = l.full_consensus_follower_limit_;
    return s;
}

recovered raft_server::impl::recover() {
    recovered from;
    if (const ptr<srv_state> saved = state_mgr_->read_state()) {
        from.state.term = saved->get_term();
        from.state.voted_for = saved->get_voted_for();
        from.state.election_timer_allowed = saved->is_election_timer_allowed();
        from.state.catching_up = saved->is_catching_up();
        from.state.receiving_snapshot = saved->is_receiving_snapshot();
    }
    from.config = state_mgr_->load_config();
    from.last_snapshot = state_machine_->last_snapshot();
    close_gap(from.last_snapshot);
    // The state machine may be ahead of a log that lost its unsynced end; what it has applied was
    // committed, so those entries come back and are not applied twice.
    from.commit_index = std::min<uint64_t>(gate_.applied(), store_->next_slot() - 1);
    return from;
}

/// Repairs what a crash between two steps of `install` leaves, and refuses what cannot be (B21).
void raft_server::impl::close_gap(const ptr<snapshot>& last) {
    const uint64_t covered = last ? last->get_last_log_idx() : 0;
    if (covered > 0 && gate_.applied() >= covered && store_->start_index() <= covered) {
        const bool beyond = covered >= store_->next_slot();
        if (beyond || store_->term_at(covered) != last->get_last_log_term()) cut_log(last, true);
    }
    const uint64_t start = store_->start_index();
    if (gate_.applied() + 1 >= start) return;
    if (covered + 1 >= start && state_machine_->apply_snapshot(*last)) {
        gate_.jump(covered);
        return;
    }
    unfit_to_start_ = "the state machine is at index " + std::to_string(gate_.applied()) +
                      ", the log starts at " + std::to_string(start) + ", and " +
                      (last ? "the snapshot ends at " + std::to_string(covered)
                            : std::string("there is no snapshot")) +
                      "; restore this server's data, or remove it from the cluster and add it "
                      "again with empty data";
}

void raft_server::impl::start(bool skip_election_timer) {
    std::lock_guard<std::mutex> guard(lifecycle_lock_);
    if (started_.exchange(true)) {
        SERVER_LOG(log_, log_warning, "server %d was started already", id_);
        return;
    }
    if (!unfit_to_start_.empty()) {
        return fail(raft_err::N19_bad_log_idx_for_term, unfit_to_start_);
    }
    commit_stopped_ = append_stopped_ = false;
    global_mgr* shared_workers = ctx_->custom_global_mgr_;
    if (!shared_workers) shared_workers = nuraft_global_mgr::get_instance();
    if (shared_workers) {
        join_manager(*shared_workers);
    } else {
        start_threads();
    }
    // Time for the transport to listen before the first election.
    bool passive = skip_election_timer;
    {
        std::lock_guard<std::recursive_mutex> state_guard(lock_);
        passive = passive || !raft_->state().election_timer_allowed;
    }
    const int32_t backoff_ms = ctx_->get_params()->rpc_failure_backoff_;
    if (!passive && backoff_ms > 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(backoff_ms));
    }
    enter(inputs::start{skip_election_timer});
}

void raft_server::impl::set_owner(raft_server* owner) {
    std::lock_guard<std::recursive_mutex> guard(lock_);
    owner_ = owner;
    if (owner) owner_address_ = owner;
    if (owner_) show();
}

void raft_server::impl::on_timer(timer_kind kind, int32_t peer) {
    bool put_off = false;
    if (kind == timer_kind::election) {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        put_off = owner_ && owner_->serving_req_;
    }
    if (put_off) {
        return timers_.change({kind, peer, ctx_->get_params()->election_timeout_upper_bound_});
    }
    enter(inputs::timer_fired{kind, peer});
}

void raft_server::impl::stop() {
    {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        if (!stopping_) step_and_queue(inputs::stop{});
        stopping_ = true;
        publish();
    }
    gate_.stop();
    append_signal_.stop();
    cancel_waiting();
    drain();
}

void raft_server::impl::cancel_waiting() {
    for (const ptr<client_batch>& batch : batches_.take_all()) {
        batch->finish(nullptr, cmd_result_code::CANCELLED);
    }
    watchers_.cancel();
    cancel_reads();
    finish_scheduled(0, cmd_result_code::CANCELLED, true);
    forwarder_->close();
    std::map<uint64_t, response_handler> waiting;
    {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        waiting.swap(waiting_);
    }
    for (auto& [number, done] : waiting) done(nullptr);
}

void raft_server::impl::join(std::thread& t) {
    if (!t.joinable()) return;
    if (t.get_id() == std::this_thread::get_id()) {
        SERVER_LOG(log_, log_error, "shutdown from a callback: the thread ends on its own");
        t.detach();
    } else {
        t.join();
    }
}

void raft_server::impl::shutdown() {
    std::lock_guard<std::mutex> guard(lifecycle_lock_);
    if (shut_down_) return;
    shut_down_ = true;
    const bool from_callback = on_own_thread();
    stop();
    leave_manager();
    join(commit_thread_);
    join(append_thread_);
    if (from_callback) return;  // What is left goes with the last reference.
    {
        std::unique_lock<std::recursive_mutex> idle(lock_);
        drained_.wait(idle, [this] { return !draining_; });
    }
    cancel_waiting();  // Whoever got in while we stopped.
    release_resources();
    SERVER_LOG(log_, log_info, "server %d is shut down", id_);
}

void raft_server::impl::release_resources() {
    timers_.stop();
    connections_.close();
    transfers_->close();
    {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        if (owner_) owner_->scheduler_ = nullptr;
    }
    ctx_->logger_ = nullptr;
    ctx_->rpc_listener_ = nullptr;
    ctx_->rpc_cli_factory_ = nullptr;
    ctx_->scheduler_ = nullptr;
}

bool raft_server::impl::on_own_thread() const {
    const std::thread::id me = std::this_thread::get_id();
    return me == commit_thread_id_ || me == append_thread_id_ || me == drainer_.load();
}

}  // namespace nuraft
