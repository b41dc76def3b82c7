#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "buffer.hxx"
#include "ptr.hxx"
#include "req_msg.hxx"
#include "transport/frame_budget.hxx"

namespace nuraft {
namespace transport {

/// The requests of a connection that were read and are not answered yet, and their answers, which
/// may become ready in any order and leave in the order of the requests. One thread at a time.
class answer_queue {
public:
    /// Requests of one connection that are processed at once, so that a server can make many log
    /// entries durable together.
    static constexpr size_t max_requests = 64;
    /// Body bytes of such requests above which no further one is read.
    static constexpr size_t max_bytes = 64 << 20;

    bool has_room() const { return slots_.size() < max_requests && bytes_ < max_bytes && !ending_; }
    /// Takes a request of `bytes` in, and what it holds of a budget; the number names it.
    uint64_t add(ptr<req_msg> req, size_t bytes, frame_share share = frame_share()) {
        slots_.push_back({std::move(req), bytes, std::move(share), state::waiting, nullptr, ""});
        bytes_ += bytes;
        return first_ + slots_.size() - 1;
    }
    req_msg& request(uint64_t number) { return *slots_[number - first_].req; }
    void set_answer(uint64_t number, ptr<buffer> frame) {
        slots_[number - first_].what = state::answered;
        slots_[number - first_].frame = std::move(frame);
    }
    /// Instead of an answer the connection ends once earlier requests are answered. Nothing more is
    /// read.
    void set_end(uint64_t number, std::string reason) {
        ending_ = true;
        slots_[number - first_].what = state::end;
        slots_[number - first_].reason = std::move(reason);
    }
    /// Nothing more is read, and the connection ends once all requests are answered.
    void end_after_all(std::string reason) {
        ending_ = true;
        slots_.push_back({nullptr, 0, frame_share(), state::end, nullptr, std::move(reason)});
    }

    /// Takes out the answers that may leave now, in order.
    std::vector<ptr<buffer>> take_ready() {
        std::vector<ptr<buffer>> ready;
        for (; !slots_.empty() && slots_.front().what == state::answered; ++first_) {
            ready.push_back(std::move(slots_.front().frame));
            bytes_ -= slots_.front().bytes;
            slots_.pop_front();
        }
        return ready;
    }
    /// The reason if the connection is to end now; else null.
    const std::string* end_reason() const {
        const bool end = !slots_.empty() && slots_.front().what == state::end;
        return end ? &slots_.front().reason : nullptr;
    }

private:
    enum class state { waiting, answered, end };
    struct slot {
        ptr<req_msg> req;
        size_t bytes;
        frame_share share;
        state what;
        ptr<buffer> frame;
        std::string reason;
    };

    std::deque<slot> slots_;
    uint64_t first_ = 0;  // number of slots_.front()
    size_t bytes_ = 0;
    bool ending_ = false;
};

}  // namespace transport
}  // namespace nuraft
