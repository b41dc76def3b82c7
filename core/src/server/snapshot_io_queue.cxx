#include "server/snapshot_io_queue.hxx"

#include <algorithm>

#include "server/thread_name.hxx"

namespace nuraft {

snapshot_io_queue& snapshot_io_queue::instance() {
    static snapshot_io_queue queue;
    return queue;
}

snapshot_io_queue::snapshot_io_queue() : thread_([this] { run(); }) {}

snapshot_io_queue::~snapshot_io_queue() {
    shutdown();
}

void snapshot_io_queue::run() {
    name_this_thread("nuraft_snp_io");
    std::unique_lock<std::mutex> guard(lock_);
    while (true) {
        wake_.wait(guard, [this] { return stopped_ || !waiting_.empty(); });
        if (stopped_) return;
        std::function<void()> read = std::move(waiting_.front().read);
        waiting_.pop_front();
        guard.unlock();
        read();
        read = nullptr;  // It may hold the last reference to a server.
        guard.lock();
    }
}

bool snapshot_io_queue::push(const raft_server* server, int32_t peer, std::function<void()> read) {
    std::function<void()> replaced;
    std::lock_guard<std::mutex> guard(lock_);
    if (stopped_) return false;
    for (element& e : waiting_) {
        if (e.server != server || e.peer != peer) continue;
        replaced.swap(e.read);
        e.read = std::move(read);
        return true;
    }
    waiting_.push_back({server, peer, std::move(read)});
    wake_.notify_one();
    return true;
}

bool snapshot_io_queue::has(const raft_server* server, int32_t peer) const {
    std::lock_guard<std::mutex> guard(lock_);
    return std::any_of(waiting_.begin(), waiting_.end(),
                       [&](const element& e) { return e.server == server && e.peer == peer; });
}

void snapshot_io_queue::drop(const raft_server* server) {
    std::deque<element> dropped;
    std::lock_guard<std::mutex> guard(lock_);
    for (auto e = waiting_.begin(); e != waiting_.end();) {
        if (e->server != server) {
            ++e;
            continue;
        }
        dropped.push_back(std::move(*e));
        e = waiting_.erase(e);
    }
}

void snapshot_io_queue::wake() {
    wake_.notify_all();
}

void snapshot_io_queue::shutdown() {
    std::deque<element> dropped;
    {
        std::lock_guard<std::mutex> guard(lock_);
        stopped_ = true;
        dropped.swap(waiting_);
        wake_.notify_all();
    }
    std::lock_guard<std::mutex> guard(join_lock_);
    if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) thread_.join();
}

}  // namespace nuraft
