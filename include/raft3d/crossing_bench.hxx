#pragma once

#include <cstdint>
#include <libnuraft/nuraft.hxx>
#include <memory>

#include "raft3d/proposer.hxx"
#include "rust/cxx.h"

namespace raft3d {

struct Fsm;
struct LogHandle;

// What crosses the bridge for each commit, `count` times over, as the core makes it cross. Each
// with the same in C++ alone beside it. For benches/commit.

/// Appends `payload` to the log, which is empty, and reads it back to be applied.
void log_through_bridge(rust::Box<LogHandle> log, rust::Slice<const uint8_t> payload,
                        uint64_t count);

/// Applies `command` to the state machine.
void commit_through_bridge(rust::Box<Fsm> machine, rust::Slice<const uint8_t> command,
                           uint64_t count);

/// Makes an outcome of `bytes`, as a state machine in C++ has to.
void commit_in_cpp(rust::Slice<const uint8_t> bytes, uint64_t count);

/// What proposes to no server, and answers to `proposals`.
std::unique_ptr<proposer> new_idle_proposer(rust::Box<Proposals> proposals);

/// Takes the proposal of `commands` from `proposer`, and answers it under `ticket` with `outcome`.
void propose_through_bridge(const proposer& proposer, uint64_t ticket,
                            rust::Slice<const Encoded> commands,
                            rust::Slice<const uint8_t> outcome);

/// The same with a handler in C++ that looks at the outcome.
void propose_in_cpp(rust::Slice<const uint8_t> command, rust::Slice<const uint8_t> outcome,
                    uint64_t count);

}  // namespace raft3d
