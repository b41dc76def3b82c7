#include "server/apply_gate.hxx"

#include <algorithm>
#include <chrono>

namespace nuraft {

std::optional<uint64_t> apply_gate::begin() {
    std::lock_guard<std::mutex> guard(lock_);
    if (stopped_ || paused_ || holders_ > 0 || applied_ >= target_) return std::nullopt;
    executing_ = true;
    return applied_ + 1;
}

void apply_gate::end() {
    std::lock_guard<std::mutex> guard(lock_);
    executing_ = false;
    idle_.notify_all();
}

void apply_gate::wait() {
    std::unique_lock<std::mutex> guard(lock_);
    wake_.wait(guard, [this] {
        return stopped_ || poked_ || (!paused_ && holders_ == 0 && applied_ < target_);
    });
    poked_ = false;
}

void apply_gate::on_work(std::function<void()> tell) {
    std::lock_guard<std::mutex> guard(lock_);
    tell_ = std::move(tell);
}

template <typename F>
void apply_gate::change_and_wake(F change) {
    std::function<void()> tell;
    {
        std::lock_guard<std::mutex> guard(lock_);
        change();
        tell = tell_;
    }
    wake_.notify_one();
    if (tell) tell();
}

void apply_gate::raise_target(uint64_t index) {
    change_and_wake([&] {
        target_ = std::max(target_, index);
        poked_ = true;
    });
}

void apply_gate::poke() {
    change_and_wake([&] { poked_ = true; });
}

void apply_gate::pause() {
    std::lock_guard<std::mutex> guard(lock_);
    paused_ = true;
}

void apply_gate::resume() {
    change_and_wake([&] { paused_ = false; });
}

bool apply_gate::paused() const {
    std::lock_guard<std::mutex> guard(lock_);
    return paused_ && !executing_;
}

bool apply_gate::wait_idle(uint64_t timeout_ms, bool zero_is_forever) {
    std::unique_lock<std::mutex> guard(lock_);
    auto idle = [this] { return !executing_; };
    if (timeout_ms == 0 && zero_is_forever) {
        idle_.wait(guard, idle);
        return true;
    }
    return idle_.wait_for(guard, std::chrono::milliseconds(timeout_ms), idle);
}

bool apply_gate::hold() {
    std::unique_lock<std::mutex> guard(lock_);
    if (stopped_) return false;
    ++holders_;
    idle_.wait(guard, [this] { return stopped_ || !executing_; });
    if (!stopped_) return true;
    --holders_;
    return false;
}

void apply_gate::release() {
    change_and_wake([&] { --holders_; });
}

void apply_gate::jump(uint64_t index) {
    std::lock_guard<std::mutex> guard(lock_);
    applied_ = index;
    target_ = index;
}

void apply_gate::stop() {
    std::lock_guard<std::mutex> guard(lock_);
    stopped_ = true;
    wake_.notify_all();
    idle_.notify_all();
}

}  // namespace nuraft
