#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

// Statistics of the process (api 30). Not installed.

namespace nuraft {

/// How many values fell into [0, 1), [1, 2), [2, 4), [4, 8) and so on. Thread-safe.
class stat_histogram {
public:
    void add(uint64_t value);
    void reset();
    /// Of the buckets that are not empty: their upper bound, that of the last being the largest
    /// number, and how many values fell into them.
    std::map<double, uint64_t> buckets() const;

private:
    static constexpr size_t count = 65;
    std::atomic<uint64_t> counts_[count] = {};
};

/// One named number, or distribution of numbers. Thread-safe.
class stat_elem {
public:
    enum Type {
        COUNTER = 0,
        HISTOGRAM = 1,
        GAUGE = 2,
    };

    stat_elem(Type type, const std::string& name) : type_(type), name_(name) {}

    // Counters and gauges
    void inc(size_t amount = 1) { *this += amount; }
    void dec(size_t amount = 1) { *this -= amount; }
    void set(int64_t value) { value_ = value; }
    void operator+=(size_t amount) { value_ += static_cast<int64_t>(amount); }
    void operator-=(size_t amount) { value_ -= static_cast<int64_t>(amount); }
    void operator++(int) { ++value_; }
    void operator--(int) { --value_; }
    void operator=(size_t value) { value_ = static_cast<int64_t>(value); }

    // Histograms
    void add_value(uint64_t value) { histogram_.add(value); }

    const std::string& get_name() const { return name_; }
    Type get_type() const { return type_; }
    uint64_t get_counter() const { return static_cast<uint64_t>(value_.load()); }
    int64_t get_gauge() const { return value_; }
    stat_histogram* get_histogram() { return &histogram_; }
    void reset();

private:
    const Type type_;
    const std::string name_;
    std::atomic<int64_t> value_{0};  ///< Counters and gauges are read alike.
    stat_histogram histogram_;
};

/// All of them. Elements live as long as the process. Thread-safe.
class stat_mgr {
public:
    static stat_mgr* get_instance();

    /// Null: unknown.
    stat_elem* get_stat(const std::string& name) const;
    /// The element of that name, whatever its type, if there is one.
    stat_elem* create_stat(stat_elem::Type type, const std::string& name);
    /// Appends all, in order of their names.
    void get_all_stats(std::vector<stat_elem*>& stats_out) const;
    void reset_stat(const std::string& name);
    void reset_all_stats();

private:
    stat_mgr() = default;

    mutable std::mutex lock_;
    std::map<std::string, std::unique_ptr<stat_elem>> stats_;  ///< Guarded by `lock_`.
};

}  // namespace nuraft
