#pragma once

#include <string>

#include "protocol/effects.hxx"
#include "protocol/inputs.hxx"

namespace sim {

/// One line for each thing, for traces.
std::string describe(const nuraft::protocol::input& in);
std::string describe(const nuraft::protocol::effects& out);
std::string describe(nuraft::req_msg& msg);
std::string describe(const nuraft::resp_msg& msg);
std::string describe(const nuraft::cluster_config& config);

}  // namespace sim
