#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hxx"
#include "base/crc32.hxx"
#include "targets.hxx"
#include "transport/frame_body.hxx"
#include "transport/wire_format.hxx"

// Frames in a stream of bytes, read as the connections of the transport read them.

namespace fuzz {

/// The bytes of a connection that ends where they end. Does not own them.
class stream {
public:
    stream(const uint8_t* data, size_t size) : at_(data), left_(size) {}

    size_t left() const { return left_; }
    const uint8_t* take(size_t size) {
        const uint8_t* bytes = at_;
        at_ += size;
        left_ -= size;
        return bytes;
    }
    /// False: the connection ended first. What is held is the first piece or twice of what
    /// arrived at most.
    bool read(nuraft::transport::frame_body& body, size_t size) {
        body.start(size);
        for (size_t arrived = 0; !body.complete();) {
            const nuraft::transport::frame_body::piece piece = body.next_piece();
            require(body.size() <=
                        std::max(nuraft::transport::frame_body::first_piece_size, 2 * arrived),
                    "a body of ", body.size(), " bytes is held when ", arrived, " arrived");
            if (piece.size > left_) return false;
            std::copy_n(take(piece.size), piece.size, piece.data);
            arrived += piece.size;
        }
        return true;
    }

private:
    const uint8_t* at_;
    size_t left_;
};

/// A header with the right checksum of itself, so that what lies behind that check is reached.
template <size_t size, size_t crc_span>
std::vector<uint8_t> sealed(const uint8_t* header) {
    std::vector<uint8_t> copy(header, header + size);
    nuraft::store_little_endian(copy.data() + crc_span, nuraft::crc32(header, crc_span));
    return copy;
}

}  // namespace fuzz
