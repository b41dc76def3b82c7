#include "raft3d/durable_state.hxx"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "raft3d/bytes.hxx"
#include "raft3d/src/ffi.rs.h"

namespace raft3d {

using nuraft::ptr;

namespace {

/// Number of messages in `nuraft::raft_err_msg`, which is indexed by the negated code.
constexpr int raft_err_count = 24;

}  // namespace

durable_state::durable_state(nuraft::int32 id, rust::Box<StateHandle> state,
                             ptr<nuraft::log_store> log)
    : id_(id), state_(std::move(state)), log_(std::move(log)) {}

durable_state::~durable_state() = default;

ptr<nuraft::cluster_config> durable_state::load_config() {
    ptr<nuraft::buffer> saved = buffer_of(state_->load_config());
    return nuraft::cluster_config::deserialize(*saved);
}

void durable_state::save_config(const nuraft::cluster_config& config) {
    const ptr<nuraft::buffer> encoded = config.serialize();
    state_->save_config(slice_of(*encoded));
}

void durable_state::save_state(const nuraft::srv_state& state) {
    const ptr<nuraft::buffer> encoded = state.serialize();
    state_->save_state(slice_of(*encoded));
}

ptr<nuraft::srv_state> durable_state::read_state() {
    const rust::Vec<uint8_t> saved = state_->load_state();
    if (saved.empty()) return nullptr;
    return nuraft::srv_state::deserialize(*buffer_of(saved));
}

ptr<nuraft::log_store> durable_state::load_log_store() {
    return log_;
}

nuraft::int32 durable_state::server_id() {
    return id_;
}

void durable_state::system_exit(int exit_code) {
    std::string reason = "the consensus core gave up with code " + std::to_string(exit_code);
    if (exit_code <= 0 && exit_code > -raft_err_count) {
        reason += ": ";
        reason += nuraft::raft_err_msg[-exit_code];
    }
    state_->fatal({reinterpret_cast<const uint8_t*>(reason.data()), reason.size()});
}

void durable_state::joined() const noexcept {
    state_->joined();
}

void durable_state::removed() const noexcept {
    state_->removed();
}

void durable_state::leader_seen(uint64_t term, bool own) const noexcept {
    state_->leader_seen(term, own);
}

}  // namespace raft3d
