#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace nuraft {
namespace transport {

/// How many bytes of frames may be held at a time. Thread-safe.
class frame_budget {
public:
    explicit frame_budget(size_t limit) : limit_(limit) {}

    size_t limit() const { return limit_; }
    size_t taken() const { return taken_; }

private:
    friend class frame_share;

    bool take(size_t bytes) {
        if (taken_.fetch_add(bytes) + bytes <= limit_) return true;
        taken_ -= bytes;
        return false;
    }
    void give_back(size_t bytes) { taken_ -= bytes; }

    const size_t limit_;
    std::atomic<size_t> taken_{0};
};

/// Bytes taken from a budget, which must outlive it. One thread at a time.
class frame_share {
public:
    frame_share() = default;
    explicit frame_share(frame_budget& from) : from_(&from) {}
    frame_share(frame_share&& other) noexcept
        : from_(std::exchange(other.from_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    frame_share& operator=(frame_share&& other) noexcept {
        std::swap(from_, other.from_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~frame_share() {
        if (bytes_ > 0) from_->give_back(bytes_);
    }

    /// Holds `bytes` from now on. False, and nothing changes, if the budget has not as many left.
    bool grow_to(size_t bytes) {
        if (bytes <= bytes_) return true;
        if (!from_->take(bytes - bytes_)) return false;
        bytes_ = bytes;
        return true;
    }

private:
    frame_budget* from_ = nullptr;
    size_t bytes_ = 0;
};

}  // namespace transport
}  // namespace nuraft
