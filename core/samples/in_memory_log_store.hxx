#pragma once

#include <memory>

#include "log_store.hxx"

namespace nuraft {

class raft_server;

/// A log in memory, which programs like to start with. Only declared, so that a program can compile
/// its own copy of the sample; the library does not define it.
class inmem_log_store : public log_store {
public:
    inmem_log_store();
    ~inmem_log_store();

    __nocopy__(inmem_log_store);

public:
    ulong next_slot() const override;
    ulong start_index() const override;
    ptr<log_entry> last_entry() const override;
    ulong append(ptr<log_entry>& entry) override;
    void write_at(ulong index, ptr<log_entry>& entry) override;
    ptr<std::vector<ptr<log_entry>>> log_entries(ulong start, ulong end) override;
    ptr<std::vector<ptr<log_entry>>> log_entries_ext(ulong start, ulong end,
                                                     int64 batch_size_hint_in_bytes = 0) override;
    ptr<log_entry> entry_at(ulong index) override;
    ulong term_at(ulong index) override;
    ptr<buffer> pack(ulong index, int32 cnt) override;
    void apply_pack(ulong index, buffer& pack) override;
    bool compact(ulong last_log_index) override;
    bool flush() override;
    ulong last_durable_index() override;

    void close();
    /// Entries become durable so many milliseconds after they were appended, and `raft` is told;
    /// 0: at once.
    void set_disk_delay(raft_server* raft, size_t delay_ms);

private:
    class data;
    std::unique_ptr<data> data_;
};

}  // namespace nuraft
