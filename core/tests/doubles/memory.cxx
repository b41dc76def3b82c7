#include "doubles/memory.hxx"

#include <algorithm>
#include <cstring>

namespace nuraft {
namespace test {

void trace::add(const std::string& line) {
    std::lock_guard<std::mutex> guard(lock_);
    lines_.push_back(line);
}

std::vector<std::string> trace::lines() const {
    std::lock_guard<std::mutex> guard(lock_);
    return lines_;
}

size_t trace::count(const std::string& line) const {
    std::lock_guard<std::mutex> guard(lock_);
    return static_cast<size_t>(std::count(lines_.begin(), lines_.end(), line));
}

int trace::find(const std::string& line, int from) const {
    std::lock_guard<std::mutex> guard(lock_);
    for (size_t i = static_cast<size_t>(from); i < lines_.size(); ++i) {
        if (lines_[i] == line) return static_cast<int>(i);
    }
    return -1;
}

void trace::clear() {
    std::lock_guard<std::mutex> guard(lock_);
    lines_.clear();
}

ptr<buffer> text_buffer(const std::string& text) {
    ptr<buffer> data = buffer::alloc(text.size());
    data->put_raw(reinterpret_cast<const byte*>(text.data()), text.size());
    data->pos(0);
    return data;
}

std::string text_of(const buffer& data) {
    return std::string(reinterpret_cast<const char*>(data.data_begin()), data.size());
}

// The log

memory_log_store::memory_log_store() = default;

ulong memory_log_store::next_slot() const {
    std::lock_guard<std::mutex> guard(lock_);
    return next_;
}

ulong memory_log_store::start_index() const {
    std::lock_guard<std::mutex> guard(lock_);
    return start_;
}

ptr<log_entry> memory_log_store::last_entry() const {
    std::lock_guard<std::mutex> guard(lock_);
    if (entries_.empty()) return cs_new<log_entry>(0, buffer::alloc(0));
    return entries_.rbegin()->second;
}

ulong memory_log_store::append(ptr<log_entry>& entry) {
    std::lock_guard<std::mutex> guard(lock_);
    entries_[next_] = entry;
    note("append " + std::to_string(next_));
    return next_++;
}

void memory_log_store::write_at(ulong index, ptr<log_entry>& entry) {
    std::lock_guard<std::mutex> guard(lock_);
    entries_.erase(entries_.lower_bound(index), entries_.end());
    entries_[index] = entry;
    next_ = index + 1;
    durable_ = std::min(durable_, index - 1);
    note("write_at " + std::to_string(index));
}

void memory_log_store::end_of_append_batch(ulong start, ulong cnt) {
    std::lock_guard<std::mutex> guard(lock_);
    note("end_of_append_batch " + std::to_string(start) + " " + std::to_string(cnt));
}

ptr<std::vector<ptr<log_entry>>> memory_log_store::log_entries(ulong start, ulong end) {
    return log_entries_ext(start, end, 0);
}

ptr<std::vector<ptr<log_entry>>> memory_log_store::log_entries_ext(ulong start, ulong end,
                                                                   int64 hint) {
    std::lock_guard<std::mutex> guard(lock_);
    auto found = cs_new<std::vector<ptr<log_entry>>>();
    int64 bytes = 0;
    for (ulong i = start; i < end && hint >= 0; ++i) {
        auto e = entries_.find(i);
        if (e == entries_.end()) return nullptr;
        found->push_back(e->second);
        bytes += static_cast<int64>(e->second->get_buf().size());
        if (hint > 0 && bytes >= hint) break;
    }
    return found;
}

ptr<log_entry> memory_log_store::entry_at(ulong index) {
    std::lock_guard<std::mutex> guard(lock_);
    auto e = entries_.find(index);
    return e == entries_.end() ? nullptr : e->second;
}

ulong memory_log_store::term_at(ulong index) {
    ptr<log_entry> e = entry_at(index);
    return e ? e->get_term() : 0;
}

ptr<buffer> memory_log_store::pack(ulong index, int32 cnt) {
    std::vector<ptr<buffer>> parts;
    size_t size = 4;
    for (ulong i = index; i < index + static_cast<ulong>(cnt); ++i) {
        ptr<log_entry> e = entry_at(i);
        if (!e) return nullptr;
        parts.push_back(e->serialize());
        size += 4 + parts.back()->size();
    }
    ptr<buffer> packed = buffer::alloc(size);
    packed->put(static_cast<int32>(parts.size()));
    for (const ptr<buffer>& p : parts) packed->put(p->data_begin(), p->size());
    packed->pos(0);
    return packed;
}

void memory_log_store::apply_pack(ulong index, buffer& pack) {
    const int32 count = pack.get_int();
    std::lock_guard<std::mutex> guard(lock_);
    entries_.erase(entries_.lower_bound(index), entries_.end());
    if (entries_.empty()) start_ = index;
    next_ = index;
    for (int32 i = 0; i < count; ++i) {
        size_t size = 0;
        const byte* bytes = pack.get_bytes(size);
        ptr<buffer> one = buffer::alloc(size);
        std::memcpy(one->data_begin(), bytes, size);
        entries_[next_++] = log_entry::deserialize(*one);
    }
}

bool memory_log_store::compact(ulong last_log_index) {
    std::lock_guard<std::mutex> guard(lock_);
    if (fail_compaction_) return false;
    entries_.erase(entries_.begin(), entries_.upper_bound(last_log_index));
    start_ = std::max(start_, last_log_index + 1);
    next_ = std::max(next_, start_);
    durable_ = std::max(durable_, last_log_index);
    note("compact " + std::to_string(last_log_index));
    return true;
}

bool memory_log_store::flush() {
    std::lock_guard<std::mutex> guard(lock_);
    if (!slow_) durable_ = next_ - 1;
    return true;
}

ulong memory_log_store::last_durable_index() {
    std::lock_guard<std::mutex> guard(lock_);
    return slow_ ? durable_ : next_ - 1;
}

void memory_log_store::slow_disk(bool on) {
    std::lock_guard<std::mutex> guard(lock_);
    slow_ = on;
    durable_ = next_ - 1;
}

void memory_log_store::finish_writes() {
    std::lock_guard<std::mutex> guard(lock_);
    durable_ = next_ - 1;
}

void memory_log_store::fail_compaction(bool on) {
    std::lock_guard<std::mutex> guard(lock_);
    fail_compaction_ = on;
}

void memory_log_store::record_in(trace* t) {
    std::lock_guard<std::mutex> guard(lock_);
    trace_ = t;
}

void memory_log_store::note(const std::string& line) {
    if (trace_) trace_->add(line);
}

// State and configuration

memory_state_mgr::memory_state_mgr(int32 id, ptr<cluster_config> config)
    : id_(id), config_(config->serialize()) {}

ptr<cluster_config> memory_state_mgr::load_config() {
    std::lock_guard<std::mutex> guard(lock_);
    return cluster_config::deserialize(*config_);
}

void memory_state_mgr::save_config(const cluster_config& config) {
    std::lock_guard<std::mutex> guard(lock_);
    config_ = config.serialize();
}

void memory_state_mgr::save_state(const srv_state& state) {
    std::lock_guard<std::mutex> guard(lock_);
    state_ = state.serialize();
}

ptr<srv_state> memory_state_mgr::read_state() {
    std::lock_guard<std::mutex> guard(lock_);
    return state_ ? srv_state::deserialize(*state_) : nullptr;
}

void memory_state_mgr::system_exit(const int exit_code) {
    std::lock_guard<std::mutex> guard(lock_);
    exits_.push_back(exit_code);
}

std::vector<int> memory_state_mgr::exits() const {
    std::lock_guard<std::mutex> guard(lock_);
    return exits_;
}

// The state machine

ptr<buffer> memory_state_machine::commit_ext(const ext_op_params& params) {
    std::unique_lock<std::mutex> guard(lock_);
    gate_.wait_for(guard, command_time_, [] { return false; });
    gate_.wait(guard, [this] { return !gate_closed_; });
    const std::string text = text_of(*params.data);
    committed_[params.log_idx] = text;
    last_index_ = params.log_idx;
    note("commit " + text);
    return text_buffer(text + "@" + std::to_string(params.log_idx));
}

void memory_state_machine::commit_config(const ulong index, ptr<cluster_config>&) {
    std::lock_guard<std::mutex> guard(lock_);
    last_index_ = index;
    note("commit_config " + std::to_string(index));
}

ptr<buffer> memory_state_machine::pre_commit_ext(const ext_op_params& params) {
    std::lock_guard<std::mutex> guard(lock_);
    note("pre_commit " + text_of(*params.data));
    return text_buffer("pre " + text_of(*params.data));
}

void memory_state_machine::rollback_ext(const ext_op_params& params) {
    std::lock_guard<std::mutex> guard(lock_);
    note("rollback " + std::to_string(params.log_idx) + " " + text_of(*params.data));
}

void memory_state_machine::rollback_config(const ulong index, ptr<cluster_config>&) {
    std::lock_guard<std::mutex> guard(lock_);
    note("rollback_config " + std::to_string(index));
}

void memory_state_machine::save_logical_snp_obj(snapshot&, ulong& obj_id, buffer& data,
                                                bool is_first_obj, bool) {
    std::lock_guard<std::mutex> guard(lock_);
    if (is_first_obj) incoming_.clear();
    const ulong next = data.get_ulong();
    if (!is_first_obj) {
        const std::string text(reinterpret_cast<const char*>(data.data()),
                               data.size() - data.pos());
        incoming_[obj_id] = text;
    }
    note("save_object " + std::to_string(obj_id));
    obj_id = next;
}

bool memory_state_machine::apply_snapshot(snapshot& s) {
    std::lock_guard<std::mutex> guard(lock_);
    committed_ = incoming_;
    last_index_ = s.get_last_log_idx();
    kept_.meta = snapshot::deserialize(*s.serialize());
    kept_.state = committed_;
    ++installs_;
    note("apply_snapshot " + std::to_string(last_index_));
    return true;
}

int memory_state_machine::read_logical_snp_obj(snapshot& s, void*& user_snp_ctx, ulong obj_id,
                                               ptr<buffer>& data_out, bool& is_last_obj) {
    std::function<void()> hook;
    {
        std::lock_guard<std::mutex> guard(lock_);
        hook = before_read_;
    }
    if (hook) hook();
    std::lock_guard<std::mutex> guard(lock_);
    if (!kept_.meta || kept_.meta->get_last_log_idx() != s.get_last_log_idx()) return -1;
    if (!user_snp_ctx) {
        user_snp_ctx = new kept_snapshot(kept_);
        ++open_contexts_;
    }
    if (failing_object_ != 0 && obj_id == failing_object_) {
        failing_object_ = 0;
        return -1;
    }
    const auto& state = static_cast<kept_snapshot*>(user_snp_ctx)->state;
    const std::string text = obj_id == 0 ? std::string() : state.at(obj_id);
    auto next = state.upper_bound(obj_id);
    is_last_obj = next == state.end();
    data_out = buffer::alloc(8 + text.size());
    data_out->put(static_cast<ulong>(is_last_obj ? 0 : next->first));
    data_out->put_raw(reinterpret_cast<const byte*>(text.data()), text.size());
    return 0;
}

void memory_state_machine::free_user_snp_ctx(void*& user_snp_ctx) {
    std::lock_guard<std::mutex> guard(lock_);
    if (!user_snp_ctx) return;
    delete static_cast<kept_snapshot*>(user_snp_ctx);
    user_snp_ctx = nullptr;
    --open_contexts_;
}

ptr<snapshot> memory_state_machine::last_snapshot() {
    std::lock_guard<std::mutex> guard(lock_);
    return kept_.meta;
}

ulong memory_state_machine::last_commit_index() {
    std::lock_guard<std::mutex> guard(lock_);
    return last_index_;
}

void memory_state_machine::create_snapshot(snapshot& s,
                                           async_result<bool>::handler_type& when_done) {
    bool at_once;
    {
        std::lock_guard<std::mutex> guard(lock_);
        held_.meta = snapshot::deserialize(*s.serialize());
        held_.state = committed_;
        held_done_ = when_done;
        at_once = !hold_snapshots_;
        note("create_snapshot " + std::to_string(s.get_last_log_idx()));
    }
    if (at_once) finish_snapshot();
}

bool memory_state_machine::finish_snapshot(bool ok) {
    async_result<bool>::handler_type done;
    {
        std::lock_guard<std::mutex> guard(lock_);
        if (!held_done_) return false;
        done.swap(held_done_);
        if (ok) {
            kept_ = held_;
            ++snapshots_created_;
        }
    }
    ptr<std::exception> no_error;
    done(ok, no_error);
    return true;
}

void memory_state_machine::hold_snapshots(bool on) {
    std::lock_guard<std::mutex> guard(lock_);
    hold_snapshots_ = on;
}

int memory_state_machine::snapshots_created() const {
    std::lock_guard<std::mutex> guard(lock_);
    return snapshots_created_;
}

int64 memory_state_machine::get_next_batch_size_hint_in_bytes() {
    std::lock_guard<std::mutex> guard(lock_);
    return size_hint_;
}

void memory_state_machine::set_size_hint(int64 bytes) {
    std::lock_guard<std::mutex> guard(lock_);
    size_hint_ = bytes;
}

uint64_t memory_state_machine::adjust_commit_index(const adjust_commit_index_params& params) {
    std::lock_guard<std::mutex> guard(lock_);
    auto pinned = params.peer_index_map_.find(pinned_to_);
    if (pinned == params.peer_index_map_.end()) return params.expected_commit_index_;
    return std::min(params.expected_commit_index_, pinned->second);
}

void memory_state_machine::pin_commit_to(int32 server) {
    std::lock_guard<std::mutex> guard(lock_);
    pinned_to_ = server;
}

std::map<ulong, std::string> memory_state_machine::committed() const {
    std::lock_guard<std::mutex> guard(lock_);
    return committed_;
}

bool memory_state_machine::has(const std::string& text) const {
    std::lock_guard<std::mutex> guard(lock_);
    return std::any_of(committed_.begin(), committed_.end(),
                       [&](const auto& c) { return c.second == text; });
}

int memory_state_machine::open_contexts() const {
    std::lock_guard<std::mutex> guard(lock_);
    return open_contexts_;
}

int memory_state_machine::installs() const {
    std::lock_guard<std::mutex> guard(lock_);
    return installs_;
}

void memory_state_machine::fail_read_of(ulong object) {
    std::lock_guard<std::mutex> guard(lock_);
    failing_object_ = object;
}

void memory_state_machine::before_read(std::function<void()> hook) {
    std::lock_guard<std::mutex> guard(lock_);
    before_read_ = std::move(hook);
}

void memory_state_machine::close_gate() {
    std::lock_guard<std::mutex> guard(lock_);
    gate_closed_ = true;
}

void memory_state_machine::open_gate() {
    std::lock_guard<std::mutex> guard(lock_);
    gate_closed_ = false;
    gate_.notify_all();
}

void memory_state_machine::slow_down(std::chrono::milliseconds command) {
    std::lock_guard<std::mutex> guard(lock_);
    command_time_ = command;
}

void memory_state_machine::record_in(trace* t) {
    std::lock_guard<std::mutex> guard(lock_);
    trace_ = t;
}

void memory_state_machine::note(const std::string& line) {
    if (trace_) trace_->add(line);
}

// The rest

void memory_logger::put_details(int, const char*, const char*, size_t, const std::string& line) {
    std::lock_guard<std::mutex> guard(lock_);
    lines_.push_back(line);
}

int memory_logger::get_level() {
    return 3;
}

bool memory_logger::contains(const std::string& part) const {
    std::lock_guard<std::mutex> guard(lock_);
    return std::any_of(lines_.begin(), lines_.end(),
                       [&](const std::string& l) { return l.find(part) != std::string::npos; });
}

ptr<cluster_config> config_of(const std::vector<std::string>& endpoints) {
    auto config = cs_new<cluster_config>();
    int32 id = 0;
    for (const std::string& e : endpoints) {
        config->get_servers().push_back(cs_new<srv_config>(++id, e));
    }
    return config;
}

}  // namespace test
}  // namespace nuraft
