#pragma once

#include <iostream>
#include <type_traits>
#include <utility>

#include "debugging_options.hxx"
#include "event_awaiter.hxx"
#include "nuraft.hxx"
#include "peer.hxx"
#include "raft_server_handler.hxx"
#include "snapshot_sync_ctx.hxx"
#include "strfmt.hxx"

namespace nuraft {
namespace api_surface {

/// What the checklist's run-time part found. C++11, as the programs may be whose headers it tests.
class checks {
public:
    void add(bool holds, const char* text, const char* file, int line) {
        ++count_;
        if (holds) return;
        ++failures_;
        std::cerr << file << ":" << line << ": " << text << std::endl;
    }
    int count() const { return count_; }
    int failures() const { return failures_; }

private:
    int count_ = 0;
    int failures_ = 0;
};

#define CHECK(condition) c.add((condition), #condition, __FILE__, __LINE__)

/// Complete for every T, `void` and references too.
template <typename T>
struct wrap {};

}  // namespace api_surface
}  // namespace nuraft
