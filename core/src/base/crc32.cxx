#include "base/crc32.hxx"

#include <array>

#include "base/bytes.hxx"

namespace nuraft {

namespace {

constexpr uint32_t polynomial = 0xedb88320;
constexpr size_t slices = 8;

using crc_table = std::array<uint32_t, 256>;

/// tables[k][b]: what byte b contributes when k more bytes follow it in a step.
constexpr std::array<crc_table, slices> make_tables() {
    std::array<crc_table, slices> tables{};
    for (uint32_t b = 0; b < 256; ++b) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? polynomial : 0);
        tables[0][b] = crc;
    }
    for (size_t k = 1; k < slices; ++k) {
        for (size_t b = 0; b < 256; ++b) {
            const uint32_t before = tables[k - 1][b];
            tables[k][b] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
    return tables;
}

constexpr std::array<crc_table, slices> tables = make_tables();

}  // namespace

uint32_t crc32(const void* data, size_t len, uint32_t seed) {
    const byte* at = static_cast<const byte*>(data);
    uint32_t crc = ~seed;
    for (; len >= slices; at += slices, len -= slices) {
        const uint32_t low = crc ^ load_little_endian<uint32_t>(at);
        const uint32_t high = load_little_endian<uint32_t>(at + 4);
        crc = tables[7][low & 0xff] ^ tables[6][(low >> 8) & 0xff] ^ tables[5][(low >> 16) & 0xff] ^
              tables[4][low >> 24] ^ tables[3][high & 0xff] ^ tables[2][(high >> 8) & 0xff] ^
              tables[1][(high >> 16) & 0xff] ^ tables[0][high >> 24];
    }
    for (; len > 0; ++at, --len) crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xff];
    return ~crc;
}

}  // namespace nuraft
