#include "raft3d/proposal.hxx"

#include <exception>
#include <string>
#include <type_traits>

#include "raft3d/bytes.hxx"
#include "raft3d/src/ffi.rs.h"

namespace raft3d {

using nuraft::ptr;

namespace {

rust::Slice<const uint8_t> bytes_of(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// Translates the core's result: only what surely is in no log is called not accepted.
void answer(const Proposals& proposals, uint64_t ticket, proposal_result& result) {
    const nuraft::cmd_result_code code = result.get_result_code();
    const bool accepted = result.get_accepted();
    if (code == nuraft::cmd_result_code::OK && accepted) {
        const ptr<nuraft::buffer> outcome = result.get();
        if (outcome) {
            proposals.answer(ticket, Verdict::Applied, slice_of(*outcome));
        } else {
            const std::string reason = "the leader answered without an outcome";
            proposals.answer(ticket, Verdict::Unknown, bytes_of(reason));
        }
        return;
    }
    const bool in_no_log = !accepted && (code == nuraft::cmd_result_code::NOT_LEADER ||
                                         code == nuraft::cmd_result_code::BAD_REQUEST);
    const std::string reason = result.get_result_str();
    proposals.answer(ticket, in_no_log ? Verdict::NotAccepted : Verdict::Unknown, bytes_of(reason));
}

}  // namespace

void answer_when_ready(proposal_result& result, const Proposals& proposals, uint64_t ticket) {
    const auto tell = [&proposals, ticket](proposal_result& done, ptr<std::exception>&) {
        answer(proposals, ticket, done);
    };
    // So small that std::function keeps it, and its copy in the result, without an allocation.
    static_assert(std::is_trivially_copyable<decltype(tell)>::value, "");
    static_assert(sizeof(tell) <= 2 * sizeof(void*), "");
    result.when_ready(proposal_result::handler_type2(tell));
}

}  // namespace raft3d
