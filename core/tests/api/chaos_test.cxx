#include <atomic>
#include <random>
#include <set>
#include <shared_mutex>
#include <thread>

#include "doubles/asio_cluster.hxx"

// Clients at work while servers come and go: what was acknowledged stays, and all agree.

namespace nuraft {
namespace test {

namespace {

/// Clients that append distinct texts to whoever leads, and remember which were acknowledged.
class busy_clients {
public:
    busy_clients(asio_cluster& cluster, std::shared_mutex& cluster_lock, int count)
        : cluster_(cluster), cluster_lock_(cluster_lock) {
        for (int c = 0; c < count; ++c) threads_.emplace_back([this, c] { work(c); });
    }
    ~busy_clients() { stop(); }

    void stop() {
        stop_ = true;
        for (std::thread& t : threads_) {
            if (t.joinable()) t.join();
        }
    }
    size_t acknowledged() const {
        std::lock_guard<std::mutex> guard(lock_);
        return acknowledged_.size();
    }
    std::set<std::string> texts() const {
        std::lock_guard<std::mutex> guard(lock_);
        return acknowledged_;
    }

private:
    void work(int client) {
        for (int i = 0; !stop_; ++i) {
            const std::string text = std::to_string(client) + "/" + std::to_string(i);
            ptr<cmd_result<ptr<buffer>>> result;
            {
                std::shared_lock<std::shared_mutex> guard(cluster_lock_);
                for (auto& n : cluster_.nodes()) {
                    if (n->running() && n->server->is_leader()) result = append(*n->server, text);
                }
            }
            if (!result) {
                std::this_thread::yield();
                continue;
            }
            if (value_of(*result).empty()) continue;  // Refused or unknown.
            std::lock_guard<std::mutex> guard(lock_);
            acknowledged_.insert(text);
        }
    }

    asio_cluster& cluster_;
    std::shared_mutex& cluster_lock_;
    std::atomic<bool> stop_{false};
    mutable std::mutex lock_;
    std::set<std::string> acknowledged_;  ///< Guarded by `lock_`.
    std::vector<std::thread> threads_;
};

void run_chaos(raft_params p, uint32_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    p.return_method_ = raft_params::async_handler;
    p.with_snapshot_enabled(20);
    asio_cluster cluster(3, p, p.max_log_gap_in_stream_ > 0);
    ASSERT_TRUE(cluster.wait_for_leader());
    std::shared_mutex cluster_lock;  // Exclusive while a server stops or starts.
    busy_clients clients(cluster, cluster_lock, 4);

    for (int round = 0; round < 6; ++round) {
        const size_t before = clients.acknowledged();
        ASSERT_TRUE(eventually("progress in round " + std::to_string(round),
                               [&] { return clients.acknowledged() > before + 30; }));
        asio_node& victim = cluster.node(static_cast<int32>(random() % 3 + 1));
        if (random() % 3 == 0) {
            victim.server->yield_leadership(random() % 2 == 0);
            continue;
        }
        {
            std::unique_lock<std::shared_mutex> guard(cluster_lock);
            victim.stop();
        }
        const size_t without = clients.acknowledged();
        ASSERT_TRUE(eventually("progress without server " + std::to_string(victim.id),
                               [&] { return clients.acknowledged() > without + 30; }));
        std::unique_lock<std::shared_mutex> guard(cluster_lock);
        victim.start(p);
    }
    clients.stop();
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    EXPECT_TRUE(eventually("a last entry everywhere", [&] {
        asio_node* now_leading = cluster.wait_for_leader();
        return now_leading && !value_of(*append(*now_leading->server, "last")).empty();
    }));
    ASSERT_TRUE(cluster.all_have("last"));
    std::set<std::string> kept;
    for (const auto& [index, text] : cluster.node(1).sm->committed()) kept.insert(text);
    for (const std::string& text : clients.texts()) {
        EXPECT_EQ(1u, kept.count(text)) << "acknowledged and lost: " << text;
    }
    for (auto& n : cluster.nodes()) {
        EXPECT_TRUE(
            eventually("the same state everywhere",
                       [&] { return n->sm->committed() == cluster.node(1).sm->committed(); }))
            << "server " << n->id;
        EXPECT_TRUE(n->mgr->exits().empty()) << "server " << n->id;
        EXPECT_TRUE(
            eventually("no context left open", [&] { return n->sm->open_contexts() == 0; }));
    }
}

}  // namespace

TEST(chaos, acknowledged_entries_survive_restarts_and_hand_overs) {
    run_chaos(quick_params(), 1);
}

TEST(chaos, also_while_streaming_and_with_replication_in_the_callers_thread) {
    raft_params p = quick_params();
    p.max_log_gap_in_stream_ = 100;
    p.use_bg_thread_for_urgent_commit_ = false;
    run_chaos(p, 2);
}

}  // namespace test
}  // namespace nuraft
