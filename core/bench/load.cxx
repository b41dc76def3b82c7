#include "load.hxx"

#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace bench {

using namespace nuraft;
using steady = std::chrono::steady_clock;

namespace {

/// How long an asynchronous client waits for its last requests.
constexpr std::chrono::seconds answers_within{10};

struct window {
    steady::time_point begin;
    steady::time_point end;
};

/// One client thread, and what it has seen. Kept by the requests that it has under way.
class client : public std::enable_shared_from_this<client> {
public:
    client(raft_server& server, const load& what, const window& measured)
        : server_(server), what_(what), measured_(measured) {}

    void run() {
        while (steady::now() < measured_.end) {
            if (what_.how == mode::blocking) {
                call();
            } else {
                call_async();
            }
        }
        std::unique_lock<std::mutex> guard(lock_);
        changed_.wait_for(guard, answers_within, [this] { return under_way_ == 0; });
    }

    /// Adds what was seen. After `run`.
    void collect(std::vector<int64_t>& latencies_ns, int64_t& failed) {
        std::lock_guard<std::mutex> guard(lock_);
        latencies_ns.insert(latencies_ns.end(), latencies_ns_.begin(), latencies_ns_.end());
        failed += failed_;
    }

private:
    using result = cmd_result<ptr<buffer>>;

    ptr<buffer> payload() const {
        ptr<buffer> data = buffer::alloc(static_cast<size_t>(what_.payload_bytes));
        std::memset(data->data_begin(), 'x', data->size());
        return data;
    }

    void call() {
        const steady::time_point sent = steady::now();
        ptr<result> r = server_.append_entries({payload()});
        record(sent, r->get_result_code() == cmd_result_code::OK);
    }

    void call_async() {
        {
            std::unique_lock<std::mutex> guard(lock_);
            changed_.wait_until(guard, measured_.end,
                                [this] { return under_way_ < what_.async_window; });
            if (under_way_ >= what_.async_window) return;
            ++under_way_;
        }
        const steady::time_point sent = steady::now();
        ptr<result> r = server_.append_entries({payload()});
        r->when_ready(result::handler_type2([self = shared_from_this(), sent](result& done, auto&) {
            self->record(sent, done.get_result_code() == cmd_result_code::OK);
            std::lock_guard<std::mutex> guard(self->lock_);
            --self->under_way_;
            self->changed_.notify_one();
        }));
    }

    void record(steady::time_point sent, bool ok) {
        const steady::time_point now = steady::now();
        if (now < measured_.begin || now >= measured_.end) return;
        std::lock_guard<std::mutex> guard(lock_);
        if (ok) {
            latencies_ns_.push_back(
                std::chrono::duration_cast<std::chrono::nanoseconds>(now - sent).count());
        } else {
            ++failed_;
        }
    }

    raft_server& server_;
    const load what_;
    const window measured_;
    std::mutex lock_;
    std::condition_variable changed_;
    std::vector<int64_t> latencies_ns_;  ///< Guarded by `lock_`, as all below.
    int64_t failed_ = 0;
    int under_way_ = 0;
};

/// Of sorted values, the one that `share` of them do not exceed.
int64_t quantile(const std::vector<int64_t>& sorted, double share) {
    if (sorted.empty()) return 0;
    const size_t at = static_cast<size_t>(share * static_cast<double>(sorted.size()));
    return sorted[std::min(at, sorted.size() - 1)];
}

load_result summarise(const std::vector<std::shared_ptr<client>>& clients) {
    load_result r;
    std::vector<int64_t> latencies_ns;
    for (const auto& c : clients) c->collect(latencies_ns, r.failed);
    std::sort(latencies_ns.begin(), latencies_ns.end());
    r.ops = static_cast<int64_t>(latencies_ns.size()) + r.failed;
    r.p50 = quantile(latencies_ns, 0.5);
    r.p99 = quantile(latencies_ns, 0.99);
    r.p999 = quantile(latencies_ns, 0.999);
    r.max = latencies_ns.empty() ? 0 : latencies_ns.back();
    return r;
}

}  // namespace

resources used_by_this_process() {
    rusage u{};
    ::getrusage(RUSAGE_SELF, &u);
    resources r;
    r.user_us = u.ru_utime.tv_sec * 1000000 + u.ru_utime.tv_usec;
    r.system_us = u.ru_stime.tv_sec * 1000000 + u.ru_stime.tv_usec;
    r.switches = u.ru_nvcsw + u.ru_nivcsw;
    return r;
}

resources operator-(const resources& a, const resources& b) {
    return {a.user_us - b.user_us, a.system_us - b.system_us, a.switches - b.switches};
}

resources operator+(const resources& a, const resources& b) {
    return {a.user_us + b.user_us, a.system_us + b.system_us, a.switches + b.switches};
}

load_result run_load(raft_server& server, const load& what, const std::function<void()>& began,
                     const std::function<void()>& ended) {
    window measured;
    measured.begin = steady::now() + what.warmup;
    measured.end = measured.begin + what.measure;
    std::vector<std::shared_ptr<client>> clients;
    std::vector<std::thread> threads;
    for (int i = 0; i < what.threads; ++i) {
        clients.push_back(std::make_shared<client>(server, what, measured));
        threads.emplace_back([c = clients.back()] { c->run(); });
    }
    std::this_thread::sleep_until(measured.begin);
    const resources before = used_by_this_process();
    began();
    std::this_thread::sleep_until(measured.end);
    const resources used = used_by_this_process() - before;
    ended();
    for (std::thread& t : threads) t.join();
    load_result r = summarise(clients);
    r.used = used;
    return r;
}

}  // namespace bench
