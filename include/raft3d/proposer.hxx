#pragma once

#include <cstdint>
#include <libnuraft/nuraft.hxx>
#include <memory>
#include <vector>

#include "rust/cxx.h"

namespace raft3d {

// Defined in src/raft/proposals.rs.
struct Encoded;
struct Proposals;

/// What the core makes of a proposal.
using proposal_result = nuraft::cmd_result<nuraft::ptr<nuraft::buffer>>;

/// Takes proposals to a server, and what becomes of them back to `Proposals`. All methods but
/// `attach` may be called from any thread. It must outlive the results.
class proposer {
public:
    explicit proposer(rust::Box<Proposals> proposals);
    ~proposer();

    proposer(const proposer&) = delete;
    proposer& operator=(const proposer&) = delete;

    /// Proposes to `server` from now on. To be called before the first proposal.
    void attach(const nuraft::ptr<nuraft::raft_server>& server);

    /// Submits `commands` as one proposal, here or to the leader: their entries have indexes in a
    /// row. `ticket` is answered on a core thread or, if the answer is known at once, on this one.
    /// Does not wait for the commit.
    void propose(rust::Slice<const Encoded> commands, uint64_t ticket) const noexcept;

    /// Answers `ticket` with what becomes of `result`: at once if that is known, later in the
    /// thread that completes it.
    void answer_when_ready(proposal_result& result, uint64_t ticket) const;

private:
    const rust::Box<Proposals> proposals_;
    std::weak_ptr<nuraft::raft_server> server_;  // weak, because the server keeps this

    void answer(proposal_result& result, uint64_t ticket) const;
};

/// The core's buffers with copies of `commands`.
std::vector<nuraft::ptr<nuraft::buffer>> buffers_of(rust::Slice<const Encoded> commands);

}  // namespace raft3d
