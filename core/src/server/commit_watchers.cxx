#include "server/commit_watchers.hxx"

#include <stdexcept>

namespace nuraft {

namespace {

void cancel_one(commit_watchers::watch_result& result) {
    bool value = false;
    ptr<std::exception> error =
        cs_new<std::runtime_error>("the server stops before the index was applied");
    result.set_result(value, error, cmd_result_code::CANCELLED);
}

}  // namespace

ptr<commit_watchers::watch_result> commit_watchers::add(uint64_t index,
                                                        const std::function<uint64_t()>& applied) {
    auto result = cs_new<watch_result>();
    bool is_cancelled = false;
    {
        std::lock_guard<std::mutex> guard(lock_);
        if (index > applied()) {
            if (!cancelled_) {
                waiting_.emplace(index, result);
                return result;
            }
            is_cancelled = true;
        }
    }
    if (is_cancelled) {
        cancel_one(*result);
    } else {
        bool value = true;
        ptr<std::exception> no_error;
        result->set_result(value, no_error, cmd_result_code::OK);
    }
    return result;
}

void commit_watchers::complete(uint64_t applied) {
    std::multimap<uint64_t, ptr<watch_result>> ready;
    {
        std::lock_guard<std::mutex> guard(lock_);
        while (!waiting_.empty() && waiting_.begin()->first <= applied) {
            ready.insert(waiting_.extract(waiting_.begin()));
        }
    }
    for (auto& [index, result] : ready) {
        bool value = true;
        ptr<std::exception> no_error;
        result->set_result(value, no_error, cmd_result_code::OK);
    }
}

void commit_watchers::cancel() {
    std::multimap<uint64_t, ptr<watch_result>> dropped;
    {
        std::lock_guard<std::mutex> guard(lock_);
        cancelled_ = true;
        dropped.swap(waiting_);
    }
    for (auto& [index, result] : dropped) cancel_one(*result);
}

}  // namespace nuraft
