#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace sim {

/// A rule that must always hold did not.
class violation : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

template <typename... T>
[[noreturn]] void fail(const T&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw violation(text.str());
}

/// What a run did; a run that did nothing proves nothing.
struct totals {
    uint64_t events = 0;
    uint64_t elections = 0;
    uint64_t elected_alone = 0;  ///< Of them, as the last one of two.
    uint64_t commits = 0;
    uint64_t snapshots_created = 0;
    uint64_t snapshots_installed = 0;
    uint64_t config_changes = 0;
    uint64_t servers_added = 0;
    uint64_t servers_removed = 0;
    uint64_t crashes = 0;
    uint64_t torn_crashes = 0;
    uint64_t truncations = 0;
    uint64_t handovers = 0;
    uint64_t streamed = 0;
    uint64_t packs = 0;
    uint64_t duplicates = 0;
    uint64_t acknowledged = 0;
    uint64_t reads = 0;

    void add(const totals& o);
    std::string describe() const;
};

}  // namespace sim
