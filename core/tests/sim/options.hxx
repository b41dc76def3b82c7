#pragma once

#include <cstdint>
#include <string>

#include "event_queue.hxx"
#include "raft_params.hxx"

namespace sim {

/// Everything about one run that is decided before it starts, drawn from its seed.
struct options {
    uint64_t seed = 0;
    int32_t initial_servers = 3;
    nuraft::raft_params params;
    time_us chaos = 0;     ///< How long faults are injected.
    time_us patience = 0;  ///< How long convergence may take afterwards.

    // Speeds of a server and of the network; each is the largest of a uniform draw.
    time_us network_delay = 0;
    time_us store_delay = 0;  ///< From a log write to its being readable; 0: at once.
    time_us sync_delay = 0;   ///< From readable to durable.
    time_us apply_delay = 0;
    time_us propose_every = 0;
    uint64_t snapshot_objects = 3;
    uint64_t term_steps = 1;  ///< By how much the program may raise a candidate's term, at most.
    int32_t clock_skew_per_1000 = 0;
    /// The state machine survives a crash as it was, not only as of the last snapshot. It then
    /// applies only what is durable in its own log.
    bool machine_is_durable = false;

    // Kinds of faults; rates are in ten-thousandths.
    time_us fault_every = 300 * ms;  ///< On average.
    int32_t loss = 0;
    int32_t spikes = 0;       ///< Messages that take up to two seconds.
    int32_t black_holes = 0;  ///< Share of losses that no error ever reports.
    int32_t duplicates = 0;   ///< Requests that arrive once more, up to seconds later.
    int32_t declines = 0;
    int32_t read_failures = 0;
    int32_t kept_back = 0;
    int32_t commit_pins = 0;
    int32_t expected_terms = 0;  ///< Proposals for a certain term, half of them the wrong one.
    bool size_hints = false;
    int32_t isolations = 4000;  ///< Share of partitions that cut off the leader alone.
    bool crashes = true;
    bool partitions = true;
    bool stalls = true;
    bool slow_disks = true;
    bool disk_failures = false;
    bool membership = true;
    bool handover = true;
    bool priorities = false;
    bool settings_change = false;
    bool absorb = false;  ///< Newcomers may lead a cluster of their own before they are invited.

    /// Draws all of it. `without` is a comma separated list of fault kinds to leave out, for
    /// narrowing down a failure: loss, spike, duplicate, decline, read, kept, pin, hint, crash,
    /// partition, stall, slow, diskfail, membership, handover, priority, settings, skew, snapshot,
    /// stream, absorb, consensus, receiver, alone.
    static options draw(uint64_t seed, const std::string& without);
    /// No faults at all, for runs that follow a script.
    static options quiet(uint64_t seed, int32_t servers);
    std::string describe() const;
};

}  // namespace sim
