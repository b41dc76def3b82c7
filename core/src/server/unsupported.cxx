#include "server/unsupported.hxx"

#include "server/log.hxx"

namespace nuraft {

void warn_of_unsupported(const ptr<logger>& log, const raft_params& p, bool global_manager) {
    std::string names;
    auto add = [&names](bool is_set, const char* name) {
        if (is_set) names += (names.empty() ? "" : ", ") + std::string(name);
    };
    add(p.use_bg_thread_for_snapshot_io_, "use_bg_thread_for_snapshot_io_");
    add(p.snapshot_block_size_ > 0, "snapshot_block_size_ (raw snapshots)");
    add(global_manager, "custom_global_mgr_");
    if (names.empty()) return;
    SERVER_LOG(log, log_warning, "these settings have no effect in this version: %s",
               names.c_str());
}

}  // namespace nuraft
