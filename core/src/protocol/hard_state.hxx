#pragma once

#include <cstdint>

namespace nuraft {
namespace protocol {

/// What must survive a crash besides the log (Raft section 5.2; behaviour 3.2).
struct hard_state {
    uint64_t term = 0;
    int32_t voted_for = -1;  ///< -1: no vote in this term.
    bool election_timer_allowed = true;
    bool catching_up = false;         ///< Accepted an invitation, not yet a regular member.
    bool receiving_snapshot = false;  ///< A snapshot is half received.

    bool operator==(const hard_state& o) const {
        return term == o.term && voted_for == o.voted_for &&
               election_timer_allowed == o.election_timer_allowed && catching_up == o.catching_up &&
               receiving_snapshot == o.receiving_snapshot;
    }
    bool operator!=(const hard_state& o) const { return !(*this == o); }
};

}  // namespace protocol
}  // namespace nuraft
