#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "libnuraft/nuraft.hxx"

namespace nuraft {
namespace test {

/// Lines that several threads write and a test reads.
class trace {
public:
    void add(const std::string& line);
    std::vector<std::string> lines() const;
    size_t count(const std::string& line) const;
    /// Position of the first line that equals `line` at or after `from`; -1: none.
    int find(const std::string& line, int from = 0) const;
    void clear();

private:
    mutable std::mutex lock_;
    std::vector<std::string> lines_;
};

ptr<buffer> text_buffer(const std::string& text);
/// The whole content, wherever the cursor is.
std::string text_of(const buffer& data);

/// A log in memory that survives its server. With a slow disk, entries are durable only once the
/// test says so.
class memory_log_store : public log_store {
public:
    memory_log_store();

    ulong next_slot() const override;
    ulong start_index() const override;
    ptr<log_entry> last_entry() const override;
    ulong append(ptr<log_entry>& entry) override;
    void write_at(ulong index, ptr<log_entry>& entry) override;
    void end_of_append_batch(ulong start, ulong cnt) override;
    ptr<std::vector<ptr<log_entry>>> log_entries(ulong start, ulong end) override;
    ptr<std::vector<ptr<log_entry>>> log_entries_ext(ulong start, ulong end,
                                                     int64 hint = 0) override;
    ptr<log_entry> entry_at(ulong index) override;
    ulong term_at(ulong index) override;
    ptr<buffer> pack(ulong index, int32 cnt) override;
    void apply_pack(ulong index, buffer& pack) override;
    bool compact(ulong last_log_index) override;
    bool flush() override;
    ulong last_durable_index() override;

    /// Nothing becomes durable any more, until `finish_writes`.
    void slow_disk(bool on);
    /// Everything written so far is durable. The caller notifies the server.
    void finish_writes();
    void fail_compaction(bool on);
    void record_in(trace* t);

private:
    void note(const std::string& line);

    mutable std::mutex lock_;
    ulong start_ = 1;                          ///< Guarded by `lock_`, as all below.
    std::map<ulong, ptr<log_entry>> entries_;  ///< Contiguous from `start_` on.
    ulong next_ = 1;
    bool slow_ = false;
    bool fail_compaction_ = false;
    ulong durable_ = 0;
    trace* trace_ = nullptr;
};

/// State, configuration and log of one server; outlives it, as a disk does.
class memory_state_mgr : public state_mgr {
public:
    memory_state_mgr(int32 id, ptr<cluster_config> config);

    ptr<cluster_config> load_config() override;
    void save_config(const cluster_config& config) override;
    void save_state(const srv_state& state) override;
    ptr<srv_state> read_state() override;
    ptr<log_store> load_log_store() override { return log; }
    int32 server_id() override { return id_; }
    void system_exit(const int exit_code) override;

    std::vector<int> exits() const;

    const ptr<memory_log_store> log = cs_new<memory_log_store>();

private:
    const int32 id_;
    mutable std::mutex lock_;
    ptr<buffer> config_;  ///< Guarded by `lock_`, as all below.
    ptr<buffer> state_;
    std::vector<int> exits_;
};

/// Remembers what was committed at which index, and answers each command with "<text>@<index>".
/// Its snapshots hold one object for each text, whose id is the text's index: so ids have gaps.
/// Object 0 only says which one comes first.
class memory_state_machine : public state_machine {
public:
    ptr<buffer> commit_ext(const ext_op_params& params) override;
    void commit_config(const ulong index, ptr<cluster_config>& config) override;
    ptr<buffer> pre_commit_ext(const ext_op_params& params) override;
    void rollback_ext(const ext_op_params& params) override;
    void rollback_config(const ulong index, ptr<cluster_config>& config) override;
    void save_logical_snp_obj(snapshot& s, ulong& obj_id, buffer& data, bool is_first_obj,
                              bool is_last_obj) override;
    bool apply_snapshot(snapshot& s) override;
    int read_logical_snp_obj(snapshot& s, void*& user_snp_ctx, ulong obj_id, ptr<buffer>& data_out,
                             bool& is_last_obj) override;
    void free_user_snp_ctx(void*& user_snp_ctx) override;
    ptr<snapshot> last_snapshot() override;
    ulong last_commit_index() override;
    void create_snapshot(snapshot& s, async_result<bool>::handler_type& when_done) override;
    int64 get_next_batch_size_hint_in_bytes() override;
    uint64_t adjust_commit_index(const adjust_commit_index_params& params) override;

    /// The committed texts by index.
    std::map<ulong, std::string> committed() const;
    bool has(const std::string& text) const;
    /// Contexts of snapshot transfers that were made and not freed.
    int open_contexts() const;
    int installs() const;
    /// Reading this object fails once.
    void fail_read_of(ulong object);
    /// Called before each reading of an object, without locks.
    void before_read(std::function<void()> hook);
    /// Commits wait from here on, until `open_gate`.
    void close_gate();
    void open_gate();
    /// Each command takes so long to apply, from now on.
    void slow_down(std::chrono::milliseconds command);
    /// What a leader is asked to send at once, from now on.
    void set_size_hint(int64 bytes);
    /// As a leader, commits nothing that this server does not hold; -1: the quorum decides.
    void pin_commit_to(int32 server);
    /// Creations of snapshots remain under way, until `finish_snapshot`.
    void hold_snapshots(bool on);
    /// Ends the creation under way; false: there is none.
    bool finish_snapshot(bool ok = true);
    int snapshots_created() const;
    void record_in(trace* t);

protected:
    struct kept_snapshot {
        ptr<snapshot> meta;
        std::map<ulong, std::string> state;
    };

    void note(const std::string& line);

    mutable std::mutex lock_;
    std::condition_variable gate_;
    bool gate_closed_ = false;  ///< Guarded by `lock_`, as all below.
    std::chrono::milliseconds command_time_{0};
    std::map<ulong, std::string> committed_;
    ulong last_index_ = 0;
    kept_snapshot kept_;
    std::map<ulong, std::string> incoming_;
    int open_contexts_ = 0;
    int installs_ = 0;
    ulong failing_object_ = 0;
    int64 size_hint_ = 0;
    int32 pinned_to_ = -1;
    bool hold_snapshots_ = false;
    int snapshots_created_ = 0;
    kept_snapshot held_;  ///< Under way.
    async_result<bool>::handler_type held_done_;
    std::function<void()> before_read_;
    trace* trace_ = nullptr;
};

/// Keeps the lines of warnings and worse.
class memory_logger : public logger {
public:
    void put_details(int level, const char* source_file, const char* func_name, size_t line_number,
                     const std::string& line) override;
    int get_level() override;
    bool contains(const std::string& part) const;

private:
    mutable std::mutex lock_;
    std::vector<std::string> lines_;
};

/// A configuration of these servers, in which server i has the endpoint `endpoints[i - 1]`.
ptr<cluster_config> config_of(const std::vector<std::string>& endpoints);

}  // namespace test
}  // namespace nuraft
