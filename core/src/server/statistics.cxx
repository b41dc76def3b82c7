#include "raft_server.hxx"

#ifdef ENABLE_RAFT_STATS
#include "stat_mgr.hxx"
#endif

// The program's way to the statistics. Builds without them know no names.

namespace nuraft {

#ifdef ENABLE_RAFT_STATS

uint64_t raft_server::get_stat_counter(const std::string& name) {
    const stat_elem* elem = stat_mgr::get_instance()->get_stat(name);
    return elem ? elem->get_counter() : 0;
}

int64_t raft_server::get_stat_gauge(const std::string& name) {
    const stat_elem* elem = stat_mgr::get_instance()->get_stat(name);
    return elem ? elem->get_gauge() : 0;
}

bool raft_server::get_stat_histogram(const std::string& name,
                                     std::map<double, uint64_t>& histogram_out) {
    stat_elem* elem = stat_mgr::get_instance()->get_stat(name);
    if (!elem || elem->get_type() != stat_elem::HISTOGRAM) return false;
    for (const auto& [bound, values] : elem->get_histogram()->buckets()) {
        histogram_out[bound] = values;
    }
    return true;
}

void raft_server::reset_stat(const std::string& name) {
    stat_mgr::get_instance()->reset_stat(name);
}

void raft_server::reset_all_stats() {
    stat_mgr::get_instance()->reset_all_stats();
}

#else

uint64_t raft_server::get_stat_counter(const std::string&) {
    return 0;
}

int64_t raft_server::get_stat_gauge(const std::string&) {
    return 0;
}

bool raft_server::get_stat_histogram(const std::string&, std::map<double, uint64_t>&) {
    return false;
}

void raft_server::reset_stat(const std::string&) {}

void raft_server::reset_all_stats() {}

#endif

}  // namespace nuraft
