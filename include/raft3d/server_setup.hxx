#pragma once

#include <libnuraft/nuraft.hxx>

#include "rust/cxx.h"

namespace raft3d {

struct NodeOptions;
struct Passports;

/// The core's parameters for a node.
nuraft::raft_params params_of(const NodeOptions& options);

/// The network's.
nuraft::asio_service::options transport_options();

/// The network's, with a passport on each message: one that is not admitted ends its connection.
nuraft::asio_service::options transport_options(rust::Box<Passports> passports);

}  // namespace raft3d
