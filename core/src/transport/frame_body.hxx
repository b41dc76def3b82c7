#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "basic_types.hxx"

namespace nuraft {
namespace transport {

/// A body while it arrives. Memory grows with what has arrived, one piece ahead of it, so that a
/// header that lies about its body costs the reader nothing.
class frame_body {
public:
    /// Bytes that are asked of the connection at a time.
    static constexpr size_t max_piece_size = 1 << 20;

    /// Where the next bytes go; valid until the next call of `next_piece` or `start`.
    struct piece {
        byte* data;
        size_t size;
    };

    /// Forgets the last body and expects one of `size` bytes.
    void start(size_t size) {
        // One large frame must not hold on to its memory for as long as the connection lives.
        if (bytes_.capacity() > max_piece_size) std::vector<byte>().swap(bytes_);
        bytes_.clear();
        expected_ = size;
    }
    bool complete() const { return bytes_.size() == expected_; }
    /// Makes room for more bytes. The caller fills all of it before it asks for the next piece.
    piece next_piece() {
        const size_t have = bytes_.size();
        bytes_.resize(have + std::min(expected_ - have, max_piece_size));
        return {bytes_.data() + have, bytes_.size() - have};
    }
    const byte* data() const { return bytes_.data(); }
    size_t size() const { return bytes_.size(); }

private:
    std::vector<byte> bytes_;
    size_t expected_ = 0;
};

}  // namespace transport
}  // namespace nuraft
