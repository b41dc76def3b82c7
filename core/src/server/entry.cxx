#include "debugging_options.hxx"
#include "error_code.hxx"
#include "server/impl.hxx"

// The way into the protocol: lock, step, queue the effects, unlock, drain.

namespace nuraft {

using namespace protocol;

namespace {

bool nothing_in(const effects& fx) {
    return !fx.save && !fx.save_config && fx.notices.empty() && !fx.applied_reset && !fx.write &&
           fx.timers.empty() && fx.connections.empty() && fx.send.empty() && fx.replies.empty() &&
           fx.read_answers.empty() && fx.reads.empty() && fx.saves.empty() && !fx.pack &&
           fx.freed_transfers.empty() && !fx.commit;
}

}  // namespace

time_ms raft_server::impl::now() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 epoch_)
        .count();
}

void raft_server::impl::enter(const input& in) {
    std::unique_lock<std::recursive_mutex> guard(lock_);
    if (stopping_) return;
    step_and_queue(in);
    drain(guard);
}

void raft_server::impl::enter_task(std::function<void()> task) {
    std::unique_lock<std::recursive_mutex> guard(lock_);
    if (stopping_) return;
    job j;
    j.task = std::move(task);
    queue_.push_back(std::move(j));
    drain(guard);
}

std::optional<answer> raft_server::impl::ask(input in, uint64_t number) {
    std::optional<answer> found;
    std::unique_lock<std::recursive_mutex> guard(lock_);
    if (stopping_ || asking_) return std::nullopt;
    effects fx = step(in);
    for (const answer& a : fx.answers) {
        if (a.number == number) found = a;
    }
    queue(std::move(fx));
    drain(guard);
    return found;
}

uint64_t raft_server::impl::take_number() {
    std::lock_guard<std::recursive_mutex> guard(lock_);
    return next_number_++;
}

void raft_server::impl::step_and_queue(const input& in) {
    if (asking_) {
        // The program came back into the server. Its answer must be the next input.
        postponed_.push_back(in);
        return;
    }
    queue(step(in));
    while (!postponed_.empty()) {
        std::vector<input> later;
        later.swap(postponed_);
        for (const input& i : later) queue(step(i));
    }
}

effects raft_server::impl::step(const input& in) {
    effects fx;
    const bool at_once = debugging_options::get_instance().disable_reconn_backoff_;
    if (std::exchange(reconnect_at_once_, at_once) != at_once) {
        raft_->step(now(), inputs::reconnect_at_once{at_once}, fx);
    }
    // What the rules know of the state machine is as fresh as the step that may need it.
    const uint64_t applied = gate_.applied();
    if (std::exchange(told_applied_, applied) != applied) {
        raft_->step(now(), inputs::applied{applied}, fx);
    }
    raft_->step(now(), in, fx);
    answer_questions(fx);
    publish();
    std::string error = log_reader_.take_error();
    if (!error.empty()) {
        job j;
        j.task = [this, error] { fail(raft_err::error, "reading the log store threw: " + error); };
        queue_.push_back(std::move(j));
    }
    return fx;
}

void raft_server::impl::answer_questions(effects& fx) {
    while (fx.question || fx.candidacy) {
        if (const auto question = std::exchange(fx.question, std::nullopt)) {
            raft_->step(now(), inputs::commit_answer{adjusted(*question)}, fx);
        }
        if (const auto candidacy = std::exchange(fx.candidacy, std::nullopt)) {
            raft_->step(now(), inputs::term_answer{term_after(candidacy->current)}, fx);
        }
    }
}

uint64_t raft_server::impl::term_after(uint64_t current) {
    if (!term_function_) return current + 1;
    asking_ = true;
    uint64_t next = current;
    try {
        next = term_function_(current);
    } catch (const std::exception& e) {
        SERVER_LOG(log_, log_error, "the term function threw: %s", e.what());
    } catch (...) {
        SERVER_LOG(log_, log_error, "the term function threw no std::exception");
    }
    asking_ = false;
    if (next <= current) {
        SERVER_LOG(log_, log_error,
                   "the term function gave no term after %lu but %lu; no candidacy this time",
                   current, next);
    }
    return next;
}

uint64_t raft_server::impl::adjusted(const commit_question& question) {
    state_machine::adjust_commit_index_params params;
    params.current_commit_index_ = question.current;
    params.expected_commit_index_ = question.expected;
    params.peer_index_map_ = question.indexes;
    asking_ = true;
    uint64_t index = question.current;  // An exception commits nothing.
    try {
        index = state_machine_->adjust_commit_index(params);
    } catch (const std::exception& e) {
        SERVER_LOG(log_, log_error, "adjust_commit_index threw: %s", e.what());
    } catch (...) {
        SERVER_LOG(log_, log_error, "adjust_commit_index threw no std::exception");
    }
    asking_ = false;
    if (index > question.expected) {
        SERVER_LOG(log_, log_error,
                   "adjust_commit_index returned %lu, above the %lu that a quorum holds; ignored",
                   index, question.expected);
        index = question.expected;
    }
    return index;
}

void raft_server::impl::publish() {
    server_status now_known;
    now_known.role = raft_->role();
    now_known.term = raft_->term();
    now_known.leader = raft_->leader();
    now_known.leader_alive = raft_->leader_alive();
    now_known.initialized = raft_->initialized();
    now_known.catching_up = raft_->state().catching_up;
    now_known.receiving_snapshot = raft_->state().receiving_snapshot;
    now_known.commit_index = raft_->commit_index();
    now_known.leader_commit_index = raft_->leader_commit_index();
    now_known.last_log_index = raft_->last_log_index();
    now_known.index_at_becoming_leader = raft_->index_at_becoming_leader();
    now_known.awaits_own_machine = raft_->awaits_own_machine();
    now_known.quorum_is_adjusted = raft_->quorum_is_adjusted();
    now_known.excluded_by_leader = raft_->is_excluded_by_leader();
    now_known.marked_down = raft_->is_marked_down();
    const ptr<snapshot> last = raft_->last_snapshot();
    now_known.snapshot_index = last ? last->get_last_log_idx() : 0;
    now_known.config = raft_->config();

    // Results may have become due.
    const uint64_t deliverable = raft_->deliverable_index();
    if (deliverable_.exchange(deliverable) != deliverable) poke_wanted_ = true;

    std::unique_lock<std::mutex> guard(status_lock_);
    if (stopping_) {
        // Whatever the protocol was last: this server leads nobody any more, and hears nobody.
        now_known.role = srv_role::follower;
        now_known.leader = -1;
        now_known.leader_alive = false;
        now_known.index_at_becoming_leader = 0;
        now_known.awaits_own_machine = now_known.excluded_by_leader = false;
    }
    if (now_known.leader != -1 &&
        (now_known.leader != status_.leader || forwarder_->others_owe_answers())) {
        job j;
        j.task = [this, leader = now_known.leader] { forwarder_->leader_is(leader); };
        queue_.push_back(std::move(j));
    }
    // The commit thread tells the program whether this follower is fresh, where there is nothing to
    // apply that wakes it up anyway; and the wait for the state machine may be over already.
    poke_wanted_ = poke_wanted_ ||
                   (now_known.leader_commit_index != status_.leader_commit_index &&
                    now_known.commit_index == status_.commit_index) ||
                   (now_known.awaits_own_machine && !status_.awaits_own_machine);
    known_leader_ = now_known.leader;
    machine_is_awaited_ = now_known.awaits_own_machine;
    status_ = std::move(now_known);
    guard.unlock();
    if (owner_) show();
}

void raft_server::impl::queue(effects fx) {
    // Answers are consumed by whoever asked, at once.
    fx.answers.clear();
    if (nothing_in(fx)) return;
    job j;
    j.fx = std::move(fx);
    queue_.push_back(std::move(j));
}

}  // namespace nuraft
