#pragma once

#include <string>

#include "log_store.hxx"
#include "logger.hxx"
#include "protocol/log_view.hxx"

namespace nuraft {

/// The protocol's view of the program's log store. An exception of the store is kept for the
/// caller of the step, because a step must run to its end: the answer is then "not available".
///
/// Used under the server's lock only.
class log_reader : public protocol::log_view {
public:
    explicit log_reader(ptr<log_store> store) : store_(std::move(store)) {}

    uint64_t start_index() const override;
    uint64_t next_index() const override;
    uint64_t term_at(uint64_t index) const override;
    ptr<std::vector<ptr<log_entry>>> entries(uint64_t first, uint64_t end,
                                             int64_t size_hint_bytes) const override;
    ptr<buffer> pack(uint64_t first, int32_t count) const override;

    /// What the store threw since the last call; empty if nothing.
    std::string take_error();

private:
    template <typename T, typename F>
    T guarded(T otherwise, F&& read) const;

    ptr<log_store> store_;
    mutable std::string error_;
};

}  // namespace nuraft
