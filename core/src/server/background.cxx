#include "server/impl.hxx"
#include "server/thread_name.hxx"

// Who does the work of the commit and append threads: threads of the server's own, or the workers
// of a manager, in turns (behaviour 33.3).

namespace nuraft {

void raft_server::impl::start_threads() {
    // The threads keep this object alive; `shutdown` ends and joins them.
    commit_thread_ = std::thread([self = shared_from_this()] {
        name_this_thread("nuraft_commit");
        self->commit_thread_id_ = std::this_thread::get_id();
        self->commit_loop();
        self->commit_stopped_ = true;
    });
    append_thread_ = std::thread([self = shared_from_this()] {
        name_this_thread("nuraft_append");
        self->append_thread_id_ = std::this_thread::get_id();
        self->append_loop();
        self->append_stopped_ = true;
    });
}

void raft_server::impl::join_manager(global_mgr& manager) {
    raft_server* owner = owner_;
    manager.init_raft_server(owner);
    manager_ = &manager;
    auto ask = [this, owner](void (global_mgr::*request)(ptr<raft_server>)) {
        // Not under our lock: the log store signals with its own held. And nobody owns a server
        // under construction: workers look in at those by themselves.
        global_mgr* still = manager_;
        if (!still) return;
        if (ptr<raft_server> server = owner->weak_from_this().lock()) (still->*request)(server);
    };
    gate_.on_work([ask] { ask(&global_mgr::request_commit); });
    append_signal_.on_work([ask] { ask(&global_mgr::request_append); });
}

void raft_server::impl::leave_manager() {
    global_mgr* manager = manager_.exchange(nullptr);
    if (!manager) return;
    manager->close_raft_server(owner_);
    commit_slot_.close();  // Waits for a worker that is at it (B39).
    append_slot_.close();
    commit_stopped_ = append_stopped_ = true;
}

bool raft_server::impl::commit_slice(uint64_t limit_ms) {
    if (!commit_slot_.enter()) return true;
    commit_thread_id_ = std::this_thread::get_id();
    const bool finished = apply_some(limit_ms == 0 ? steady_time::max()
                                                   : std::chrono::steady_clock::now() +
                                                         std::chrono::milliseconds(limit_ms));
    commit_thread_id_ = std::thread::id();
    return !commit_slot_.leave() && finished;
}

void raft_server::impl::append_round() {
    do {
        if (!append_slot_.enter()) return;
        append_thread_id_ = std::this_thread::get_id();
        if (std::optional<append_signal::work> work = append_signal_.take()) do_signalled(*work);
        append_thread_id_ = std::thread::id();
    } while (append_slot_.leave());
}

}  // namespace nuraft
