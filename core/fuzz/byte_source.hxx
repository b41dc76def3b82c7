#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace fuzz {

/// Choices drawn from the fuzzer's bytes; all zero once they are used up.
class byte_source {
public:
    byte_source(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}

    bool empty() const { return at_ == end_; }
    uint8_t byte() { return at_ == end_ ? 0 : *at_++; }
    bool bit() { return byte() & 1; }
    size_t below(size_t n) { return byte() % n; }
    /// Near `base`, or one of the extremes.
    uint64_t near(uint64_t base) {
        const uint8_t b = byte();
        switch (b) {
            case 0x80:
                return std::numeric_limits<uint64_t>::max();
            case 0x81:
                return std::numeric_limits<uint64_t>::max() - 1;
            case 0x82:
                return 0;
            default:
                return base + static_cast<uint64_t>(static_cast<int64_t>(static_cast<int8_t>(b)));
        }
    }
    /// Up to `size` bytes; less when they are used up.
    const uint8_t* bytes(size_t& size) {
        if (size > static_cast<size_t>(end_ - at_)) size = static_cast<size_t>(end_ - at_);
        const uint8_t* from = at_;
        at_ += size;
        return from;
    }

private:
    const uint8_t* at_;
    const uint8_t* const end_;
};

}  // namespace fuzz
