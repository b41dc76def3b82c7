#pragma once

#include <libnuraft/nuraft.hxx>

#include "rust/cxx.h"

namespace raft3d {

struct StateHandle;

/// Term, vote and configuration, in Rust. See node.hxx for the conventions.
class durable_state : public nuraft::state_mgr {
public:
    durable_state(nuraft::int32 id, rust::Box<StateHandle> state,
                  nuraft::ptr<nuraft::log_store> log);
    ~durable_state() override;

    /// Throws if the saved bytes are no configuration.
    nuraft::ptr<nuraft::cluster_config> load_config() override;

    /// Durable on return. A failure is reported as fatal to the Rust side, and thrown: a server
    /// that cannot remember must not go on.
    void save_config(const nuraft::cluster_config& config) override;

    /// As `save_config`: no vote may leave the server before it is on disk.
    void save_state(const nuraft::srv_state& state) override;

    /// Null if no term was ever saved. Throws if the saved bytes are none.
    nuraft::ptr<nuraft::srv_state> read_state() override;

    nuraft::ptr<nuraft::log_store> load_log_store() override;
    nuraft::int32 server_id() override;

    /// Passes the reason on to the Rust side, which stops the node in good order.
    void system_exit(int exit_code) override;

    /// Pass on that this server has become a member, or is none any more.
    void joined() const noexcept;
    void removed() const noexcept;

    /// Passes on that `term` has a leader: this server, or one that it follows.
    void leader_seen(uint64_t term, bool own) const noexcept;

private:
    nuraft::int32 id_;
    rust::Box<StateHandle> state_;
    nuraft::ptr<nuraft::log_store> log_;
};

}  // namespace raft3d
