#include <atomic>
#include <condition_variable>
#include <mutex>

#include "doubles/asio_cluster.hxx"
#include "server/snapshot_io_queue.hxx"
#include "server/snapshot_transfers.hxx"

// Snapshots that are read in the background, and snapshots of the raw kind.

namespace nuraft {
namespace test {

namespace {

/// A place where one thread waits until another lets it go on.
class checkpoint {
public:
    void pass() {
        std::unique_lock<std::mutex> guard(lock_);
        ++arrived_;
        changed_.notify_all();
        changed_.wait(guard, [this] { return open_; });
    }
    void await_arrival() {
        std::unique_lock<std::mutex> guard(lock_);
        EXPECT_TRUE(changed_.wait_for(guard, patience, [this] { return arrived_ > 0; }));
    }
    void open() {
        std::lock_guard<std::mutex> guard(lock_);
        open_ = true;
        changed_.notify_all();
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    int arrived_ = 0;  ///< Guarded by `lock_`, as the next.
    bool open_ = false;
};

/// A cluster whose follower `late` needs a snapshot as soon as it starts.
struct late_follower {
    explicit late_follower(const raft_params& p,
                           const std::function<ptr<memory_state_machine>()>& make = nullptr)
        : params(p), cluster(3, p, false, make), leader(cluster.wait_for_leader()) {
        late = &cluster.any_follower();
        late->stop();
        append_many(*leader->server, 0, 50);
        EXPECT_TRUE(eventually("compaction past what the follower has",
                               [&] { return leader->mgr->log->start_index() > 20; }));
    }
    const raft_params params;
    asio_cluster cluster;
    asio_node* leader;
    asio_node* late;
};

raft_params with_snapshots() {
    raft_params p = quick_params();
    p.with_snapshot_enabled(10);
    return p;
}

/// Its snapshots are bytes: length and text of each entry.
class raw_machine : public memory_state_machine {
public:
    void create_snapshot(snapshot& s, async_result<bool>::handler_type& when_done) override {
        {
            std::lock_guard<std::mutex> guard(raw_lock_);
            bytes_.clear();
            for (const auto& [index, text] : committed()) {
                bytes_ += std::to_string(index) + " " + text + "\n";
            }
        }
        memory_state_machine::create_snapshot(s, when_done);
    }
    ptr<snapshot> last_snapshot() override {
        ptr<snapshot> kept = memory_state_machine::last_snapshot();
        if (!kept) return nullptr;
        ptr<snapshot> raw = snapshot::deserialize(*kept->serialize());
        std::lock_guard<std::mutex> guard(raw_lock_);
        raw->set_type(snapshot::raw_binary);
        raw->set_size(bytes_.size());
        return raw;
    }
    int read_snapshot_data(snapshot&, const ulong offset, buffer& data) override {
        std::lock_guard<std::mutex> guard(raw_lock_);
        if (offset + data.size() > bytes_.size()) return 0;
        data.put_raw(reinterpret_cast<const byte*>(bytes_.data()) + offset, data.size());
        ++blocks;
        return static_cast<int>(data.size());
    }
    void save_snapshot_data(snapshot& s, const ulong offset, buffer& data) override {
        std::lock_guard<std::mutex> guard(raw_lock_);
        EXPECT_EQ(snapshot::raw_binary, s.get_type());
        if (offset == 0) received_.clear();
        EXPECT_EQ(offset, received_.size());
        received_ += text_of(data);
    }
    bool apply_snapshot(snapshot& s) override {
        std::map<ulong, std::string> state;
        {
            std::lock_guard<std::mutex> guard(raw_lock_);
            EXPECT_EQ(s.size(), received_.size());
            bytes_ = received_;
            std::istringstream lines(received_);
            for (std::string line; std::getline(lines, line);) {
                state[std::stoul(line)] = line.substr(line.find(' ') + 1);
            }
        }
        {
            std::lock_guard<std::mutex> guard(lock_);
            incoming_ = state;
        }
        return memory_state_machine::apply_snapshot(s);
    }
    std::atomic<int> blocks{0};

private:
    std::mutex raw_lock_;
    std::string bytes_;  ///< Guarded by `raw_lock_`, as the next.
    std::string received_;
};

}  // namespace

TEST(snapshot_in_background, slow_reading_does_not_hold_up_the_leader) {
    raft_params p = with_snapshots();
    p.use_bg_thread_for_snapshot_io_ = true;
    late_follower test(p);
    checkpoint disk;
    test.leader->sm->before_read([&] { disk.pass(); });
    const ulong term = test.leader->server->get_term();
    test.late->start(p);
    disk.await_arrival();
    append_many(*test.leader->server, 50, 60);
    EXPECT_TRUE(test.leader->server->is_leader());
    EXPECT_EQ(term, test.leader->server->get_term());
    EXPECT_EQ(0, test.late->sm->installs());
    disk.open();
    ASSERT_TRUE(test.cluster.all_have("59"));
    EXPECT_EQ(test.leader->sm->committed(), test.late->sm->committed());
    EXPECT_TRUE(
        eventually("no context left open", [&] { return test.leader->sm->open_contexts() == 0; }));
    test.leader->sm->before_read(nullptr);
}

TEST(snapshot_in_background, shutdown_waits_for_the_reading_and_frees_its_context) {
    raft_params p = with_snapshots();
    p.use_bg_thread_for_snapshot_io_ = true;
    late_follower test(p);
    checkpoint disk;
    trace order;
    test.leader->sm->before_read([&] {
        disk.pass();
        order.add("reading ends");
    });
    test.late->start(p);
    disk.await_arrival();
    ptr<raft_server> server = test.leader->server;
    std::thread closing([&] {
        server->shutdown();
        order.add("shutdown returns");
    });
    EXPECT_TRUE(eventually("the server refuses requests", [&] {
        return append(*server, "x")->get_result_code() == cmd_result_code::BAD_REQUEST;
    }));
    disk.open();
    closing.join();
    EXPECT_LT(order.find("reading ends"), order.find("shutdown returns"));
    EXPECT_EQ(0, test.leader->sm->open_contexts());
    test.leader->sm->before_read(nullptr);
}

TEST(snapshot_of_the_raw_kind, travels_in_blocks) {
    raft_params p = with_snapshots();
    p.with_snapshot_sync_block_size(16);
    late_follower test(p, [] { return cs_new<raw_machine>(); });
    test.late->start(p);
    ASSERT_TRUE(test.cluster.all_have("49"));
    EXPECT_EQ(test.leader->sm->committed(), test.late->sm->committed());
    EXPECT_GE(test.late->sm->installs(), 1);
    EXPECT_GT(static_cast<raw_machine&>(*test.leader->sm).blocks, 2);
    append_many(*test.leader->server, 50, 52);
    ASSERT_TRUE(test.cluster.all_have("51"));
    EXPECT_TRUE(test.leader->mgr->exits().empty());
    EXPECT_TRUE(test.late->mgr->exits().empty());
}

TEST(transfers, empty_and_short_raw_snapshots_only_fail) {
    class short_machine : public raw_machine {
        int read_snapshot_data(snapshot&, const ulong, buffer&) override { return 3; }
    };
    snapshot_transfers t(cs_new<short_machine>(), nullptr);
    snapshot empty(7, 1, cs_new<cluster_config>(), 0, snapshot::raw_binary);
    EXPECT_FALSE(t.read(1, empty, 0, 0).data);
    snapshot ten_bytes(7, 1, cs_new<cluster_config>(), 10, snapshot::raw_binary);
    EXPECT_FALSE(t.read(1, ten_bytes, 0, 0).data);
    EXPECT_FALSE(t.read(1, ten_bytes, 10, 0).data) << "behind the end";
}

TEST(transfers, blocks_have_4096_bytes_unless_told_otherwise) {
    class any_machine : public raw_machine {
        int read_snapshot_data(snapshot&, const ulong, buffer& data) override {
            return static_cast<int>(data.size());
        }
    };
    snapshot_transfers t(cs_new<any_machine>(), nullptr);
    snapshot s(7, 1, cs_new<cluster_config>(), 5000, snapshot::raw_binary);
    EXPECT_EQ(4096u, t.read(1, s, 0, 0).data->size());
    const auto rest = t.read(1, s, 4096, 0);
    EXPECT_EQ(904u, rest.data->size());
    EXPECT_TRUE(rest.last);
    EXPECT_EQ(8u, t.read(1, s, 0, 8).data->size());
}

TEST(transfers, context_is_freed_by_the_reader_if_it_ends_meanwhile) {
    auto sm = cs_new<memory_state_machine>();
    snapshot s(1, 1, cs_new<cluster_config>());
    async_result<bool>::handler_type done = [](bool&, ptr<std::exception>&) {};
    sm->create_snapshot(s, done);
    snapshot_transfers t(sm, nullptr);
    EXPECT_TRUE(t.read(1, s, 0, 0).data);
    EXPECT_EQ(1, sm->open_contexts());
    sm->before_read([&] { t.free(1); });
    t.read(1, s, 0, 0);
    EXPECT_EQ(0, sm->open_contexts());
    sm->before_read(nullptr);
    t.read(2, s, 0, 0);
    t.close();
    EXPECT_EQ(0, sm->open_contexts());
    EXPECT_FALSE(t.read(3, s, 0, 0).data);
}

TEST(snapshot_queue, holds_one_reading_for_each_server_and_peer) {
    snapshot_io_queue q;
    checkpoint busy;
    const auto* a = reinterpret_cast<const raft_server*>(&busy);
    const auto* b = reinterpret_cast<const raft_server*>(&q);
    std::mutex lock;
    std::string ran;
    auto say = [&](const char* what) {
        return [&, what] {
            std::lock_guard<std::mutex> guard(lock);
            ran += what;
        };
    };
    ASSERT_TRUE(q.push(a, 1, [&] { busy.pass(); }));
    busy.await_arrival();
    q.push(a, 2, say("old"));
    q.push(a, 2, say("A2 "));
    q.push(b, 2, say("B2 "));
    q.push(a, 3, say("A3"));
    EXPECT_TRUE(q.has(a, 2));
    EXPECT_FALSE(q.has(b, 3));
    q.drop(b);
    EXPECT_FALSE(q.has(b, 2));
    busy.open();
    EXPECT_TRUE(eventually("the queue is empty", [&] {
        std::lock_guard<std::mutex> guard(lock);
        return ran == "A2 A3";
    }));
    q.shutdown();
    EXPECT_FALSE(q.push(a, 1, say("never")));
}

}  // namespace test
}  // namespace nuraft
