#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "basic_types.hxx"

namespace nuraft {
namespace transport {

/// A body while it arrives. Memory grows with what has arrived, to `first_piece_size` or twice of
/// that at most, so that a header that lies about its body costs the reader nothing.
class frame_body {
public:
    /// Bytes that are asked of the connection at a time: first, and later.
    static constexpr size_t first_piece_size = 64 << 10;
    static constexpr size_t max_piece_size = 1 << 20;

    /// Where the next bytes go; valid until the next call of `next_piece`, `start` or `release`.
    struct piece {
        byte* data;
        size_t size;
    };

    /// Forgets the last body and expects one of `size` bytes.
    void start(size_t size) {
        release();
        expected_ = size;
    }
    /// Forgets the body. One large frame must not hold on to its memory for as long as the
    /// connection lives.
    void release() {
        if (bytes_.capacity() > first_piece_size) std::vector<byte>().swap(bytes_);
        bytes_.clear();
        expected_ = 0;
    }
    bool complete() const { return bytes_.size() == expected_; }
    /// Bytes of memory that it holds once `next_piece` was called.
    size_t memory_with_next_piece() const {
        const size_t needed = bytes_.size() + next_size();
        if (needed <= bytes_.capacity()) return bytes_.capacity();
        return std::min(expected_, std::max(needed, bytes_.capacity() + bytes_.capacity() / 2));
    }
    /// Makes room for more bytes. The caller fills all of it before it asks for the next piece.
    piece next_piece() {
        const size_t have = bytes_.size();
        const size_t size = next_size();
        bytes_.reserve(memory_with_next_piece());
        bytes_.resize(have + size);
        return {bytes_.data() + have, size};
    }
    const byte* data() const { return bytes_.data(); }
    size_t size() const { return bytes_.size(); }

private:
    size_t next_size() const {
        return std::min(expected_ - bytes_.size(),
                        std::clamp(bytes_.size(), first_piece_size, max_piece_size));
    }

    std::vector<byte> bytes_;
    size_t expected_ = 0;
};

}  // namespace transport
}  // namespace nuraft
