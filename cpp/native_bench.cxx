#include "raft3d/native_bench.hxx"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <libnuraft/nuraft.hxx>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "raft3d/bytes.hxx"
#include "raft3d/durable_log.hxx"
#include "raft3d/server_setup.hxx"
#include "raft3d/src/ffi.rs.h"

namespace raft3d {

using nuraft::log_entry;
using nuraft::ptr;
using nuraft::ulong;

namespace {

using steady = std::chrono::steady_clock;
using entries = std::vector<ptr<log_entry>>;

/// Outcomes as long as a short real one, in bytes.
constexpr size_t outcome_len = 16;
constexpr std::chrono::seconds election_deadline{30};
constexpr std::chrono::milliseconds election_poll{5};

/// A state machine that only counts.
class idle_fsm : public nuraft::state_machine {
public:
    ptr<nuraft::buffer> commit_ext(const ext_op_params& params) override {
        auto outcome = nuraft::buffer::alloc(outcome_len);
        nuraft::buffer_serializer(outcome).put_u64(params.log_idx);
        return outcome;
    }
    bool apply_snapshot(nuraft::snapshot&) override { return false; }
    ptr<nuraft::snapshot> last_snapshot() override { return nullptr; }
    ulong last_commit_index() override { return 0; }
    void create_snapshot(nuraft::snapshot&,
                         nuraft::async_result<bool>::handler_type& when_done) override {
        bool ok = false;
        ptr<std::exception> no_error;
        when_done(ok, no_error);
    }
};

/// A log in memory that is never compacted: the shortest possible one.
class memory_log : public nuraft::log_store {
public:
    ulong next_slot() const override {
        std::lock_guard<std::mutex> guard(mutex_);
        return entries_.size() + 1;
    }
    ulong start_index() const override { return 1; }
    ptr<log_entry> last_entry() const override {
        std::lock_guard<std::mutex> guard(mutex_);
        return entries_.empty() ? nuraft::cs_new<log_entry>(0, nuraft::buffer::alloc(0))
                                : entries_.back();
    }
    ulong append(ptr<log_entry>& entry) override {
        std::lock_guard<std::mutex> guard(mutex_);
        entries_.push_back(entry);
        return entries_.size();
    }
    void write_at(ulong index, ptr<log_entry>& entry) override {
        std::lock_guard<std::mutex> guard(mutex_);
        entries_.resize(index - 1);
        entries_.push_back(entry);
    }
    ptr<entries> log_entries(ulong start, ulong end) override {
        std::lock_guard<std::mutex> guard(mutex_);
        if (start == 0 || start > end || end > entries_.size() + 1) return nullptr;
        const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(start - 1);
        return nuraft::cs_new<entries>(first, first + static_cast<std::ptrdiff_t>(end - start));
    }
    ptr<log_entry> entry_at(ulong index) override {
        std::lock_guard<std::mutex> guard(mutex_);
        return index == 0 || index > entries_.size() ? nullptr : entries_[index - 1];
    }
    ulong term_at(ulong index) override {
        const ptr<log_entry> entry = entry_at(index);
        return entry ? entry->get_term() : 0;
    }
    ptr<nuraft::buffer> pack(ulong, nuraft::int32) override { return nullptr; }
    void apply_pack(ulong, nuraft::buffer&) override {}
    bool compact(ulong) override { return false; }
    bool flush() override { return true; }

private:
    mutable std::mutex mutex_;
    std::deque<ptr<log_entry>> entries_;
};

/// Remembers nothing beyond the process.
class memory_state : public nuraft::state_mgr {
public:
    memory_state(nuraft::int32 id, ptr<nuraft::cluster_config> config, ptr<nuraft::log_store> log)
        : id_(id), config_(std::move(config)), log_(std::move(log)) {}

    ptr<nuraft::cluster_config> load_config() override {
        return nuraft::cluster_config::deserialize(*config_->serialize());
    }
    void save_config(const nuraft::cluster_config&) override {}
    void save_state(const nuraft::srv_state&) override {}
    ptr<nuraft::srv_state> read_state() override { return nullptr; }
    ptr<nuraft::log_store> load_log_store() override { return log_; }
    nuraft::int32 server_id() override { return id_; }
    void system_exit(int) override {}

private:
    const nuraft::int32 id_;
    const ptr<nuraft::cluster_config> config_;
    const ptr<nuraft::log_store> log_;
};

/// Limits how many proposals are unanswered, and collects how long the answers took.
class window {
public:
    explicit window(uint32_t size) : free_(size), size_(size) {}

    void take() {
        std::unique_lock<std::mutex> guard(mutex_);
        changed_.wait(guard, [this] { return free_ > 0; });
        --free_;
    }

    void give_back(steady::time_point proposed, bool ok) {
        const auto latency = steady::now() - proposed;
        std::lock_guard<std::mutex> guard(mutex_);
        latencies_ns_.push_back(static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(latency).count()));
        if (!ok) ++failed_;
        ++free_;
        changed_.notify_one();
    }

    /// Waits for the last answer; throws if one was a failure.
    const std::vector<uint64_t>& finish() {
        std::unique_lock<std::mutex> guard(mutex_);
        changed_.wait(guard, [this] { return free_ == size_; });
        if (failed_ > 0) throw std::runtime_error(std::to_string(failed_) + " proposals failed");
        return latencies_ns_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    uint32_t free_;
    const uint32_t size_;
    uint64_t failed_ = 0;
    std::vector<uint64_t> latencies_ns_;
};

ptr<nuraft::cluster_config> config_of(rust::Slice<const Member> members) {
    auto config = nuraft::cs_new<nuraft::cluster_config>();
    for (const Member& member : members) {
        config->get_servers().push_back(
            nuraft::cs_new<nuraft::srv_config>(member.id, std::string(member.endpoint)));
    }
    return config;
}

void propose(nuraft::raft_server& server, const ptr<window>& unanswered,
             rust::Slice<const uint8_t> payload) {
    using proposal_result = nuraft::cmd_result<ptr<nuraft::buffer>>;
    unanswered->take();
    const auto proposed = steady::now();
    const ptr<proposal_result> result = server.append_entries({buffer_of(payload)});
    result->when_ready(proposal_result::handler_type2(
        [unanswered, proposed](proposal_result& done, ptr<std::exception>&) {
            const bool ok = done.get_accepted() &&
                            done.get_result_code() == nuraft::cmd_result_code::OK && done.get();
            unanswered->give_back(proposed, ok);
        }));
}

}  // namespace

/// A running server that stops at the end of its scope.
struct native_cluster::member {
    member(const NodeOptions& options, const ptr<nuraft::log_store>& log,
           const ptr<nuraft::cluster_config>& config, std::shared_ptr<append_notifier> told)
        : notifier(std::move(told)) {
        server = launcher.init(nuraft::cs_new<idle_fsm>(),
                               nuraft::cs_new<memory_state>(options.id, config, log), nullptr,
                               options.port, transport_options(), params_of(options));
        if (!server) throw std::runtime_error("cannot listen");
        notifier->attach(server);
    }

    ~member() {
        notifier->detach();
        launcher.shutdown();
    }

    nuraft::raft_launcher launcher;
    ptr<nuraft::raft_server> server;
    std::shared_ptr<append_notifier> notifier;
};

native_cluster::native_cluster(rust::Slice<const Member> members) : config_(config_of(members)) {}

native_cluster::~native_cluster() = default;

void native_cluster::start(const NodeOptions& options, rust::Box<LogHandle> log, bool use_log,
                           std::shared_ptr<append_notifier> notifier) {
    ptr<nuraft::log_store> store;
    if (use_log) {
        store = nuraft::cs_new<durable_log>(std::move(log));
    } else {
        store = nuraft::cs_new<memory_log>();
    }
    members_.push_back(std::make_unique<member>(options, store, config_, std::move(notifier)));
}

size_t native_cluster::leader() const {
    const auto deadline = steady::now() + election_deadline;
    while (steady::now() < deadline) {
        for (size_t i = 0; i < members_.size(); ++i) {
            if (members_[i]->server->is_leader()) return i;
        }
        std::this_thread::sleep_for(election_poll);
    }
    throw std::runtime_error("the servers elect no leader");
}

BenchRun native_cluster::run(size_t leader, rust::Slice<const uint8_t> payload, uint32_t in_flight,
                             uint32_t duration_ms) const {
    nuraft::raft_server& server = *members_.at(leader)->server;
    const auto unanswered = nuraft::cs_new<window>(in_flight);
    const auto begin = steady::now();
    const auto end = begin + std::chrono::milliseconds(duration_ms);
    while (steady::now() < end) propose(server, unanswered, payload);
    const std::vector<uint64_t>& latencies_ns = unanswered->finish();
    const auto elapsed = steady::now() - begin;

    BenchRun run{};
    run.elapsed_ns = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count());
    run.latencies_ns.reserve(latencies_ns.size());
    std::copy(latencies_ns.begin(), latencies_ns.end(), std::back_inserter(run.latencies_ns));
    return run;
}

std::unique_ptr<native_cluster> new_native_cluster(rust::Slice<const Member> members) {
    return std::make_unique<native_cluster>(members);
}

uint64_t cpu_time_ns() noexcept {
    constexpr uint64_t ns_per_second = 1'000'000'000;
    return static_cast<uint64_t>(std::clock()) * (ns_per_second / CLOCKS_PER_SEC);
}

}  // namespace raft3d
