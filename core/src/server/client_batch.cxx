#include "server/client_batch.hxx"

#include <chrono>
#include <stdexcept>

namespace nuraft {

void client_batch::set_result(ptr<buffer> value, cmd_result_code code) {
    applied_ = true;
    applied_value_ = std::move(value);
    applied_code_ = code;
}

void client_batch::finish(ptr<buffer> value, cmd_result_code code) {
    if (claimed_.exchange(true)) return;
    ptr<std::exception> error;
    if (code == cmd_result_code::CANCELLED && !blocking) {
        error = cs_new<std::runtime_error>(
            "request cancelled: leadership was lost or the server stops; it may still commit");
    }
    if (value) value->pos(0);
    result->set_result(value, error, code);
    {
        std::lock_guard<std::mutex> guard(lock_);
        finished_ = true;
        written_ = true;
    }
    finish_.notify_all();
    write_.notify_all();
}

void client_batch::mark_written() {
    {
        std::lock_guard<std::mutex> guard(lock_);
        written_ = true;
    }
    write_.notify_all();
}

void client_batch::wait_written() {
    std::unique_lock<std::mutex> guard(lock_);
    write_.wait(guard, [this] { return written_; });
}

bool client_batch::wait_finished(int32_t timeout_ms) {
    std::unique_lock<std::mutex> guard(lock_);
    auto done = [this] { return finished_; };
    if (timeout_ms <= 0) {
        finish_.wait(guard, done);
        return true;
    }
    return finish_.wait_for(guard, std::chrono::milliseconds(timeout_ms), done);
}

void client_batches::add(uint64_t proposal, const ptr<client_batch>& batch) {
    std::lock_guard<std::mutex> guard(lock_);
    unwritten_[proposal] = batch;
    if (!batch->at_append) undelivered_.emplace(batch->last_index, batch);
}

ptr<client_batch> client_batches::take_unwritten(uint64_t proposal) {
    std::lock_guard<std::mutex> guard(lock_);
    auto found = unwritten_.find(proposal);
    if (found == unwritten_.end()) return nullptr;
    ptr<client_batch> batch = std::move(found->second);
    unwritten_.erase(found);
    return batch;
}

void client_batches::set_results(uint64_t index, uint64_t term, const ptr<buffer>& value) {
    std::lock_guard<std::mutex> guard(lock_);
    auto [first, end] = undelivered_.equal_range(index);
    for (auto b = first; b != end; ++b) {
        const bool same = b->second->term == term;
        b->second->set_result(same ? value : nullptr,
                              same ? cmd_result_code::OK : cmd_result_code::CANCELLED);
    }
}

std::vector<ptr<client_batch>> client_batches::take_deliverable(uint64_t through) {
    std::lock_guard<std::mutex> guard(lock_);
    std::vector<ptr<client_batch>> taken;
    auto b = undelivered_.begin();
    for (; b != undelivered_.end() && b->first <= through && b->second->is_applied(); ++b) {
        taken.push_back(std::move(b->second));
    }
    undelivered_.erase(undelivered_.begin(), b);
    return taken;
}

std::vector<ptr<client_batch>> client_batches::take_applied(uint64_t index) {
    std::lock_guard<std::mutex> guard(lock_);
    std::vector<ptr<client_batch>> taken;
    auto [first, end] = undelivered_.equal_range(index);
    for (auto b = first; b != end; ++b) taken.push_back(std::move(b->second));
    undelivered_.erase(first, end);
    return taken;
}

std::vector<ptr<client_batch>> client_batches::take_lost(uint64_t above, uint64_t term) {
    std::lock_guard<std::mutex> guard(lock_);
    std::vector<ptr<client_batch>> lost;
    for (auto b = undelivered_.upper_bound(above); b != undelivered_.end();) {
        if (b->second->term > term) {
            ++b;
            continue;
        }
        lost.push_back(std::move(b->second));
        b = undelivered_.erase(b);
    }
    return lost;
}

std::vector<ptr<client_batch>> client_batches::take_until(uint64_t index) {
    std::lock_guard<std::mutex> guard(lock_);
    std::vector<ptr<client_batch>> taken;
    auto end = undelivered_.upper_bound(index);
    for (auto b = undelivered_.begin(); b != end; ++b) taken.push_back(std::move(b->second));
    undelivered_.erase(undelivered_.begin(), end);
    return taken;
}

std::vector<ptr<client_batch>> client_batches::take_all() {
    std::lock_guard<std::mutex> guard(lock_);
    std::vector<ptr<client_batch>> all;
    for (auto& [index, batch] : undelivered_) all.push_back(std::move(batch));
    for (auto& [proposal, batch] : unwritten_) all.push_back(std::move(batch));
    undelivered_.clear();
    unwritten_.clear();
    return all;
}

}  // namespace nuraft
