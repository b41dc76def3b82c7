#pragma once

#include <deque>
#include <libnuraft/nuraft.hxx>
#include <mutex>

/// The program's side of a server, as cheap as it can be: what is measured is the library.
namespace bench {

using namespace nuraft;

/// Keeps the entries that it is given, in memory. Never compacted.
class memory_log : public log_store {
public:
    ulong next_slot() const override {
        std::lock_guard<std::mutex> guard(lock_);
        return entries_.size() + 1;
    }
    ulong start_index() const override { return 1; }
    ptr<log_entry> last_entry() const override {
        std::lock_guard<std::mutex> guard(lock_);
        return entries_.empty() ? nothing() : entries_.back();
    }
    ulong append(ptr<log_entry>& entry) override {
        std::lock_guard<std::mutex> guard(lock_);
        entries_.push_back(entry);
        return entries_.size();
    }
    void write_at(ulong index, ptr<log_entry>& entry) override {
        std::lock_guard<std::mutex> guard(lock_);
        entries_.resize(index - 1);
        entries_.push_back(entry);
    }
    ptr<std::vector<ptr<log_entry>>> log_entries(ulong start, ulong end) override {
        std::lock_guard<std::mutex> guard(lock_);
        if (start < 1 || end > entries_.size() + 1) return nullptr;
        auto found = cs_new<std::vector<ptr<log_entry>>>();
        found->reserve(end - start);
        for (ulong index = start; index < end; ++index) found->push_back(entries_[index - 1]);
        return found;
    }
    ptr<log_entry> entry_at(ulong index) override {
        std::lock_guard<std::mutex> guard(lock_);
        return index < 1 || index > entries_.size() ? nothing() : entries_[index - 1];
    }
    ulong term_at(ulong index) override {
        std::lock_guard<std::mutex> guard(lock_);
        return index < 1 || index > entries_.size() ? 0 : entries_[index - 1]->get_term();
    }
    ptr<buffer> pack(ulong index, int32 count) override;
    void apply_pack(ulong index, buffer& pack) override;
    bool compact(ulong) override { return true; }
    bool flush() override { return true; }

private:
    static ptr<log_entry> nothing() { return cs_new<log_entry>(0, ptr<buffer>()); }

    mutable std::mutex lock_;
    std::deque<ptr<log_entry>> entries_;  ///< From index 1 on. Guarded by `lock_`.
};

/// Term, vote and configuration of one server, gone with it.
class memory_state : public state_mgr {
public:
    /// A cluster of its own, with this server alone.
    memory_state(int32 id, const std::string& endpoint) : id_(id) {
        auto alone = cs_new<cluster_config>();
        alone->get_servers().push_back(cs_new<srv_config>(id, endpoint));
        config_ = alone->serialize();
    }

    ptr<cluster_config> load_config() override {
        std::lock_guard<std::mutex> guard(lock_);
        config_->pos(0);
        return cluster_config::deserialize(*config_);
    }
    void save_config(const cluster_config& config) override {
        std::lock_guard<std::mutex> guard(lock_);
        config_ = config.serialize();
    }
    void save_state(const srv_state& state) override {
        std::lock_guard<std::mutex> guard(lock_);
        state_ = state.serialize();
    }
    ptr<srv_state> read_state() override {
        std::lock_guard<std::mutex> guard(lock_);
        if (!state_) return nullptr;
        state_->pos(0);
        return srv_state::deserialize(*state_);
    }
    ptr<log_store> load_log_store() override { return log_; }
    int32 server_id() override { return id_; }
    void system_exit(const int exit_code) override;

private:
    const int32 id_;
    const ptr<log_store> log_ = cs_new<memory_log>();
    std::mutex lock_;
    ptr<buffer> config_;  ///< Guarded by `lock_`, as the next.
    ptr<buffer> state_;
};

/// Does nothing with what it is given.
class empty_state_machine : public state_machine {
public:
    ptr<buffer> commit_ext(const ext_op_params& params) override {
        last_index_ = params.log_idx;
        return nullptr;
    }
    void commit_config(const ulong log_idx, ptr<cluster_config>&) override {
        last_index_ = log_idx;
    }
    bool apply_snapshot(snapshot&) override { return false; }
    ptr<snapshot> last_snapshot() override { return nullptr; }
    ulong last_commit_index() override { return last_index_; }
    void create_snapshot(snapshot&, async_result<bool>::handler_type& when_done) override {
        bool ok = false;
        ptr<std::exception> none;
        when_done(ok, none);
    }

private:
    std::atomic<ulong> last_index_{0};
};

}  // namespace bench
