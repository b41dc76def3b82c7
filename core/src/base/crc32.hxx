#pragma once

#include <cstddef>
#include <cstdint>

namespace nuraft {

/// CRC-32 of IEEE 802.3 with zlib's conventions: reflected polynomial 0xedb88320, inverted before
/// and after. `seed` is the checksum of what came before, so that parts can be chained.
uint32_t crc32(const void* data, size_t len, uint32_t seed = 0);

}  // namespace nuraft
