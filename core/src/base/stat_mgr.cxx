#include "stat_mgr.hxx"

#include <cmath>
#include <limits>

namespace nuraft {

void stat_histogram::add(uint64_t value) {
    size_t bucket = 0;  // The number of bits of the value.
    for (; value > 0; value >>= 1) ++bucket;
    ++counts_[bucket];
}

void stat_histogram::reset() {
    for (std::atomic<uint64_t>& c : counts_) c = 0;
}

std::map<double, uint64_t> stat_histogram::buckets() const {
    std::map<double, uint64_t> found;
    for (size_t bits = 0; bits < count; ++bits) {
        const uint64_t values = counts_[bits];
        if (values == 0) continue;
        const bool top = bits + 1 == count;
        const double bound = top ? static_cast<double>(std::numeric_limits<uint64_t>::max())
                                 : std::ldexp(1.0, static_cast<int>(bits));
        found[bound] = values;
    }
    return found;
}

void stat_elem::reset() {
    value_ = 0;
    histogram_.reset();
}

stat_mgr* stat_mgr::get_instance() {
    // Never destroyed: buffers of static objects are counted when they go.
    static stat_mgr* const instance = new stat_mgr;
    return instance;
}

stat_elem* stat_mgr::get_stat(const std::string& name) const {
    std::lock_guard<std::mutex> guard(lock_);
    auto found = stats_.find(name);
    return found == stats_.end() ? nullptr : found->second.get();
}

stat_elem* stat_mgr::create_stat(stat_elem::Type type, const std::string& name) {
    std::lock_guard<std::mutex> guard(lock_);
    std::unique_ptr<stat_elem>& place = stats_[name];
    if (!place) place = std::make_unique<stat_elem>(type, name);
    return place.get();
}

void stat_mgr::get_all_stats(std::vector<stat_elem*>& stats_out) const {
    std::lock_guard<std::mutex> guard(lock_);
    for (const auto& [name, elem] : stats_) stats_out.push_back(elem.get());
}

void stat_mgr::reset_stat(const std::string& name) {
    if (stat_elem* elem = get_stat(name)) elem->reset();
}

void stat_mgr::reset_all_stats() {
    std::lock_guard<std::mutex> guard(lock_);
    for (auto& [name, elem] : stats_) elem->reset();
}

}  // namespace nuraft
