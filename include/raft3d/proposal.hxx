#pragma once

#include <cstdint>
#include <libnuraft/nuraft.hxx>

namespace raft3d {

struct Proposals;

/// What the core makes of a proposal.
using proposal_result = nuraft::cmd_result<nuraft::ptr<nuraft::buffer>>;

/// Tells `proposals` what becomes of `result`, as the answer to `ticket`: at once if that is known,
/// later in the thread that completes it. Then `proposals` must still be there.
void answer_when_ready(proposal_result& result, const Proposals& proposals, uint64_t ticket);

}  // namespace raft3d
