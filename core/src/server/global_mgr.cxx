#include "global_mgr.hxx"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "raft_server.hxx"
#include "server/thread_name.hxx"

// The process's shared workers (behaviour 33.3).

namespace nuraft {

namespace {

constexpr std::chrono::seconds poll_interval(1);

/// Servers that want one kind of work, first come first served, each in it once at most.
class server_queue {
public:
    void open(raft_server* server) {
        std::lock_guard<std::mutex> guard(lock_);
        known_.insert(server);
    }

    void close(raft_server* server) {
        std::deque<ptr<raft_server>> dropped;  // Released without the lock.
        std::lock_guard<std::mutex> guard(lock_);
        known_.erase(server);
        auto is_it = [server](const ptr<raft_server>& s) { return s.get() == server; };
        auto found = std::find_if(waiting_.begin(), waiting_.end(), is_it);
        if (found == waiting_.end()) return;
        dropped.push_back(std::move(*found));
        waiting_.erase(found);
    }

    void push(const ptr<raft_server>& server) {
        std::lock_guard<std::mutex> guard(lock_);
        push_locked(server);
    }

    /// Waits for a server with work; null once stopped.
    ptr<raft_server> pop() {
        std::unique_lock<std::mutex> guard(lock_);
        while (!stopped_ && waiting_.empty()) {
            // A server cannot ask while it is under construction, because nobody owns it yet.
            if (wake_.wait_for(guard, poll_interval) == std::cv_status::timeout) push_all_locked();
        }
        if (stopped_) return nullptr;
        ptr<raft_server> next = std::move(waiting_.front());
        waiting_.pop_front();
        return next;
    }

    void stop() {
        std::lock_guard<std::mutex> guard(lock_);
        stopped_ = true;
        wake_.notify_all();
    }

private:
    void push_locked(const ptr<raft_server>& server) {
        if (known_.count(server.get()) == 0) return;  // It is closed.
        if (std::find(waiting_.begin(), waiting_.end(), server) != waiting_.end()) return;
        waiting_.push_back(server);
        wake_.notify_one();
    }

    void push_all_locked() {
        for (raft_server* server : known_) {
            if (ptr<raft_server> owned = server->weak_from_this().lock()) push_locked(owned);
        }
    }

    std::mutex lock_;
    std::condition_variable wake_;
    std::set<raft_server*> known_;  ///< Guarded by `lock_`, as all below. Valid until `close`.
    std::deque<ptr<raft_server>> waiting_;
    bool stopped_ = false;
};

}  // namespace

class nuraft_global_mgr::workers {
public:
    explicit workers(const nuraft_global_config& config) {
        const size_t slice_ms = std::max<size_t>(1, config.max_scheduling_unit_ms_);
        add(config.num_commit_threads_, "nuraft_g_c", commits, [this, slice_ms](raft_server& s) {
            if (!s.commit_in_bg_exec(slice_ms)) commits.push(s.shared_from_this());
        });
        add(config.num_append_threads_, "nuraft_g_a", appends,
            [](raft_server& s) { s.append_entries_in_bg_exec(); });
    }

    ~workers() {
        commits.stop();
        appends.stop();
        for (std::thread& t : threads_) t.join();
    }

    server_queue commits;
    server_queue appends;

private:
    void add(size_t count, const std::string& name, server_queue& queue,
             const std::function<void(raft_server&)>& work) {
        for (size_t i = 0; i < std::max<size_t>(1, count); ++i) {
            threads_.emplace_back([name = name + std::to_string(i), &queue, work] {
                name_this_thread(name.c_str());
                while (ptr<raft_server> server = queue.pop()) work(*server);
            });
        }
    }

    std::vector<std::thread> threads_;
};

namespace {

/// Changed by `init` and `shutdown` only, which the program does not call while others run.
std::unique_ptr<nuraft_global_mgr> instance;

}  // namespace

nuraft_global_mgr::nuraft_global_mgr() = default;

nuraft_global_mgr::~nuraft_global_mgr() = default;

nuraft_global_mgr* nuraft_global_mgr::init(const nuraft_global_config& config) {
    if (!instance) {
        instance = std::make_unique<nuraft_global_mgr>();
        instance->workers_ = std::make_unique<workers>(config);
    }
    return instance.get();
}

void nuraft_global_mgr::shutdown() {
    instance.reset();
}

nuraft_global_mgr* nuraft_global_mgr::get_instance() {
    return instance.get();
}

void nuraft_global_mgr::init_raft_server(raft_server* server) {
    if (!workers_) return;
    workers_->commits.open(server);
    workers_->appends.open(server);
}

void nuraft_global_mgr::close_raft_server(raft_server* server) {
    if (!workers_) return;
    workers_->commits.close(server);
    workers_->appends.close(server);
}

void nuraft_global_mgr::request_append(ptr<raft_server> server) {
    if (workers_) workers_->appends.push(server);
}

void nuraft_global_mgr::request_commit(ptr<raft_server> server) {
    if (workers_) workers_->commits.push(server);
}

}  // namespace nuraft
