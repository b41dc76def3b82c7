#pragma once

#include <cstdint>
#include <vector>

#include "log_entry.hxx"
#include "msg_base.hxx"
#include "ptr.hxx"

namespace nuraft {

/// A request from one server to another.
class req_msg : public msg_base {
    __nocopy__(req_msg);

public:
    /// Extra flag: the receiver does not count for full consensus.
    static constexpr uint64_t EXCLUDED_FROM_THE_QUORUM = 0x1;

    req_msg(ulong term, msg_type type, int32 src, int32 dst, ulong last_log_term,
            ulong last_log_idx, ulong commit_idx)
        : msg_base(term, type, src, dst),
          last_log_term_(last_log_term),
          last_log_idx_(last_log_idx),
          commit_idx_(commit_idx),
          extra_flags_(0) {}
    virtual ~req_msg() {}

    /// Index and term of the entry before the first one carried.
    ulong get_last_log_idx() const { return last_log_idx_; }
    ulong get_last_log_term() const { return last_log_term_; }
    /// What the sender knows to be committed.
    ulong get_commit_idx() const { return commit_idx_; }

    std::vector<ptr<log_entry>>& log_entries() { return log_entries_; }

    void set_extra_flags(uint64_t flags) { extra_flags_ = flags; }
    uint64_t get_extra_flags() const { return extra_flags_; }

private:
    ulong last_log_term_;
    ulong last_log_idx_;
    ulong commit_idx_;
    std::vector<ptr<log_entry>> log_entries_;
    uint64_t extra_flags_;
};

}  // namespace nuraft
