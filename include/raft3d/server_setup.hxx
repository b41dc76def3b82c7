#pragma once

#include <libnuraft/nuraft.hxx>

namespace raft3d {

struct NodeOptions;

/// The core's parameters for a node.
nuraft::raft_params params_of(const NodeOptions& options);

/// The network's.
nuraft::asio_service::options transport_options();

}  // namespace raft3d
