#include "raft3d/crossing_bench.hxx"

#include <exception>
#include <utility>
#include <vector>

#include "raft3d/bytes.hxx"
#include "raft3d/durable_log.hxx"
#include "raft3d/fsm.hxx"
#include "raft3d/proposer.hxx"
#include "raft3d/src/ffi.rs.h"

namespace raft3d {

using nuraft::ptr;

namespace {

constexpr uint64_t term = 1;

/// A proposal that is answered with `outcome` as soon as `prepare` has seen it.
template <typename Prepare>
void propose(rust::Slice<const uint8_t> outcome, Prepare prepare) {
    const auto result = nuraft::cs_new<proposal_result>();
    result->accept();
    prepare(*result);
    ptr<nuraft::buffer> value = buffer_of(outcome);
    ptr<std::exception> no_error;
    result->set_result(value, no_error);
}

}  // namespace

void log_through_bridge(rust::Box<LogHandle> log, rust::Slice<const uint8_t> payload,
                        uint64_t count) {
    durable_log store(std::move(log));
    auto entry = nuraft::cs_new<nuraft::log_entry>(term, buffer_of(payload));
    for (uint64_t i = 0; i < count; ++i) store.entry_at(store.append(entry));
}

void commit_through_bridge(rust::Box<Fsm> machine, rust::Slice<const uint8_t> command,
                           uint64_t count) {
    fsm applied(std::move(machine));
    ptr<nuraft::buffer> data = buffer_of(command);
    for (uint64_t index = 1; index <= count; ++index) {
        applied.commit_ext(nuraft::state_machine::ext_op_params(index, data));
    }
}

void commit_in_cpp(rust::Slice<const uint8_t> bytes, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) buffer_of(bytes);
}

std::unique_ptr<proposer> new_idle_proposer(rust::Box<Proposals> proposals) {
    return std::make_unique<proposer>(std::move(proposals));
}

void propose_through_bridge(const proposer& proposer, uint64_t ticket,
                            rust::Slice<const Encoded> commands,
                            rust::Slice<const uint8_t> outcome) {
    const std::vector<ptr<nuraft::buffer>> proposed = buffers_of(commands);
    propose(outcome, [&proposer, ticket](proposal_result& result) {
        proposer.answer_when_ready(result, ticket);
    });
}

void propose_in_cpp(rust::Slice<const uint8_t> command, rust::Slice<const uint8_t> outcome,
                    uint64_t count) {
    uint64_t answered = 0;
    for (uint64_t i = 0; i < count; ++i) {
        const std::vector<ptr<nuraft::buffer>> proposed = {buffer_of(command)};
        propose(outcome, [&answered](proposal_result& result) {
            result.when_ready(proposal_result::handler_type2(
                [&answered](proposal_result& done, ptr<std::exception>&) {
                    if (done.get_accepted() && done.get()) ++answered;
                }));
        });
    }
}

}  // namespace raft3d
