#include "raft3d/proposer.hxx"

#include <exception>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "raft3d/bytes.hxx"
#include "raft3d/src/ffi.rs.h"

namespace raft3d {

using nuraft::ptr;

namespace {

rust::Slice<const uint8_t> bytes_of(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

std::vector<ptr<nuraft::buffer>> buffers_of(rust::Slice<const Encoded> commands) {
    std::vector<ptr<nuraft::buffer>> buffers;
    buffers.reserve(commands.size());
    for (const Encoded& command : commands) buffers.push_back(buffer_of(command.bytes()));
    return buffers;
}

proposer::proposer(rust::Box<Proposals> proposals) : proposals_(std::move(proposals)) {}

proposer::~proposer() = default;

void proposer::attach(const ptr<nuraft::raft_server>& server) {
    server_ = server;
}

void proposer::propose(rust::Slice<const Encoded> commands, uint64_t ticket) const noexcept {
    const ptr<nuraft::raft_server> server = server_.lock();
    if (!server) {
        const std::string reason = "the server has ended";
        return proposals_->answer(*this, ticket, Verdict::NotAccepted, bytes_of(reason));
    }
    try {
        answer_when_ready(*server->append_entries(buffers_of(commands)), ticket);
    } catch (const std::exception&) {
        proposals_->answer(*this, ticket, Verdict::Unknown, {});
    }
}

void proposer::answer_when_ready(proposal_result& result, uint64_t ticket) const {
    const auto tell = [this, ticket](proposal_result& done, ptr<std::exception>&) {
        answer(done, ticket);
    };
    // So small that std::function keeps it, and its copy in the result, without an allocation.
    static_assert(std::is_trivially_copyable<decltype(tell)>::value, "");
    static_assert(sizeof(tell) <= 2 * sizeof(void*), "");
    result.when_ready(proposal_result::handler_type2(tell));
}

/// Translates the core's result: only what surely is in no log is called not accepted.
void proposer::answer(proposal_result& result, uint64_t ticket) const {
    const nuraft::cmd_result_code code = result.get_result_code();
    const bool accepted = result.get_accepted();
    if (code == nuraft::cmd_result_code::OK && accepted) {
        const ptr<nuraft::buffer> outcome = result.get();
        if (outcome) {
            proposals_->answer(*this, ticket, Verdict::Applied, slice_of(*outcome));
        } else {
            const std::string reason = "the leader answered without an outcome";
            proposals_->answer(*this, ticket, Verdict::Unknown, bytes_of(reason));
        }
        return;
    }
    const bool in_no_log = !accepted && (code == nuraft::cmd_result_code::NOT_LEADER ||
                                         code == nuraft::cmd_result_code::BAD_REQUEST);
    const std::string reason = result.get_result_str();
    const Verdict verdict = in_no_log ? Verdict::NotAccepted : Verdict::Unknown;
    proposals_->answer(*this, ticket, verdict, bytes_of(reason));
}

}  // namespace raft3d
