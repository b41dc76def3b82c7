#include "error_code.hxx"
#include "server/impl.hxx"

// The queue of effects, and the one thread at a time that carries them out.

namespace nuraft {

using namespace protocol;

namespace {

/// The next element of a list that is consumed from the front; false at its end.
template <typename T>
bool take_next(std::vector<T>& from, size_t& at, T& taken) {
    if (from.empty()) return false;  // Then `at` belongs to a later list.
    if (at < from.size()) {
        taken = std::move(from[at++]);
        return true;
    }
    from.clear();
    at = 0;
    return false;
}

template <typename T>
bool take_once(std::optional<T>& from, T& taken) {
    if (!from) return false;
    taken = std::move(*from);
    from.reset();
    return true;
}

}  // namespace

void raft_server::impl::drain() {
    std::unique_lock<std::recursive_mutex> guard(lock_);
    drain(guard);
}

void raft_server::impl::drain(std::unique_lock<std::recursive_mutex>& guard) {
    if (on_commit_thread()) {
        guard.unlock();
        return append_signal_.want_drain();
    }
    if (draining_ || asking_) return;  // Whoever drains finds our effects too.
    draining_ = true;
    drainer_ = std::this_thread::get_id();
    while (poke_wanted_ || !queue_.empty()) {
        if (std::exchange(poke_wanted_, false)) {
            guard.unlock();
            gate_.poke();  // A manager may be told, so without the lock.
            guard.lock();
            continue;
        }
        // Only this thread takes from the front, and others' additions move no element.
        job& front = queue_.front();
        guard.unlock();
        pumped_ = false;
        bool more = true;
        while (more && !pumped_) more = run_guarded(front);
        guard.lock();
        if (!pumped_) queue_.pop_front();  // Else that job may be gone already.
    }
    drainer_ = std::thread::id();
    draining_ = false;
    drained_.notify_all();
}

bool raft_server::impl::pump_once() {
    job* front = nullptr;
    {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        if (queue_.empty()) return false;
        front = &queue_.front();
    }
    pumped_ = true;
    if (run_guarded(*front)) return true;
    std::lock_guard<std::recursive_mutex> guard(lock_);
    queue_.pop_front();
    return true;
}

bool raft_server::impl::run_guarded(job& j) {
    std::string error;
    try {
        return run_next(j);
    } catch (const std::exception& e) {
        error = e.what();
    } catch (...) {
        error = "not a std::exception";
    }
    fail(raft_err::error, "an effect could not be carried out: " + error);
    return false;
}

bool raft_server::impl::run_next(job& j) {
    // One piece of work for each call, taken out before it is done: so work that is entered again
    // from within (a transport that delivers inside `send`) continues behind it, in order.
    if (failed_) return false;
    if (j.task) {
        std::function<void()> task;
        task.swap(j.task);
        task();
        return true;
    }

    effects& fx = j.fx;
    hard_state state;
    if (take_once(fx.save, state)) return save_state(state), true;
    if (fx.save_config) {
        ptr<cluster_config> config = std::move(fx.save_config);
        fx.save_config = nullptr;
        state_mgr_->save_config(*config);
        return true;
    }
    notice n;
    if (take_next(fx.notices, j.at, n)) return on_notice(n, fx), true;
    uint64_t index = 0;
    if (take_once(fx.applied_reset, index)) return reset_applied(index), true;
    log_write write;
    if (take_once(fx.write, write)) return write_log(std::move(write)), true;
    timer_change timer;
    if (take_next(fx.timers, j.at, timer)) return timers_.change(timer), true;
    connection_change connection;
    if (take_next(fx.connections, j.at, connection)) return connections_.change(connection), true;
    outgoing message;
    if (take_next(fx.send, j.at, message)) return send(message), true;
    protocol::reply answer;
    if (take_next(fx.replies, j.at, answer)) return reply(answer), true;
    protocol::read_answer read_answer;
    if (take_next(fx.read_answers, j.at, read_answer)) return answer_read(read_answer), true;
    protocol::read_object read;
    if (take_next(fx.reads, j.at, read)) return read_object(read), true;
    protocol::save_object save;
    if (take_next(fx.saves, j.at, save)) return save_object(save), true;
    protocol::install_pack pack;
    if (take_once(fx.pack, pack)) return install_pack(pack), true;
    uint64_t transfer = 0;
    if (take_next(fx.freed_transfers, j.at, transfer)) return transfers_->free(transfer), true;
    if (take_once(fx.commit, index)) return gate_.raise_target(index), true;
    return false;
}

void raft_server::impl::fail(int code, const std::string& why) {
    {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        if (failed_ || stopping_) return;
        failed_ = true;
    }
    SERVER_LOG(log_, log_fatal, "server %d stops with code %d: %s", id_, code, why.c_str());
    try {
        state_mgr_->system_exit(code);
    } catch (const std::exception& e) {
        SERVER_LOG(log_, log_error, "system_exit threw: %s", e.what());
    }
    stop();
}

}  // namespace nuraft
