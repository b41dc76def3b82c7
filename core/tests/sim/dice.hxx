#pragma once

#include <cstdint>
#include <random>

namespace sim {

/// Chance drawn from a seed, the same on every platform (the standard distributions are not).
class dice {
public:
    explicit dice(uint64_t seed) : engine_(seed) {}

    /// Uniform in [0, n); n > 0.
    uint64_t below(uint64_t n) { return engine_() % n; }
    /// Uniform in [low, high].
    int64_t between(int64_t low, int64_t high) {
        return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low + 1)));
    }
    /// True `per_10000` times in ten thousand.
    bool chance(int32_t per_10000) { return static_cast<int32_t>(below(10000)) < per_10000; }
    bool coin() { return chance(5000); }

private:
    std::mt19937_64 engine_;
};

}  // namespace sim
