#pragma once

#include "logger.hxx"
#include "ptr.hxx"
#include "raft_params.hxx"

namespace nuraft {

/// Logs one warning that names the settings which are switched on and have no effect here.
void warn_of_unsupported(const ptr<logger>& log, const raft_params& p, bool global_manager);

}  // namespace nuraft
