#pragma once

// What the bridge declares of Rust, as far as the TLS glue calls it.

#include <mutex>
#include <string>
#include <vector>

#include "rust/cxx.h"

namespace raft3d {

/// Writes down which certificates were refused.
struct TlsAudit {
    struct refusals {
        std::mutex lock;
        std::vector<std::string> told;  ///< Guarded by `lock`.
    };
    std::shared_ptr<refusals> seen;

    void refused(bool incoming, rust::Slice<const uint8_t> subject,
                 rust::Slice<const uint8_t> reason) const {
        const std::string text = std::string(incoming ? "incoming " : "outgoing ") +
                                 std::string(subject.begin(), subject.end()) + ": " +
                                 std::string(reason.begin(), reason.end());
        std::lock_guard<std::mutex> guard(seen->lock);
        seen->told.push_back(text);
    }
};

}  // namespace raft3d
