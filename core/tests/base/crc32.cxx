#include "base/crc32.hxx"

#include <gtest/gtest.h>

#include <string>

using nuraft::crc32;

namespace {

/// The definition, bit by bit.
uint32_t slow_crc32(const std::string& data) {
    uint32_t crc = 0xffffffff;
    for (unsigned char c : data) {
        crc ^= c;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

std::string pattern(size_t len) {
    std::string data;
    for (size_t i = 0; i < len; ++i) data += static_cast<char>(i * 131 + (i >> 3) + 7);
    return data;
}

}  // namespace

TEST(crc32, known_values) {
    EXPECT_EQ(0u, crc32(nullptr, 0));
    EXPECT_EQ(0xcbf43926u, crc32("123456789", 9));
    EXPECT_EQ(0xe8b7be43u, crc32("a", 1));
    EXPECT_EQ(0x414fa339u, crc32("The quick brown fox jumps over the lazy dog", 43));
}

TEST(crc32, equals_the_definition_at_every_length_and_alignment) {
    const std::string data = pattern(96);
    for (size_t from = 0; from < 8; ++from) {
        for (size_t len = 0; from + len <= data.size(); ++len) {
            ASSERT_EQ(slow_crc32(data.substr(from, len)), crc32(data.data() + from, len))
                << "from " << from << ", length " << len;
        }
    }
}

TEST(crc32, parts_can_be_chained) {
    const std::string data = pattern(64);
    for (size_t cut = 0; cut <= data.size(); ++cut) {
        const uint32_t first = crc32(data.data(), cut);
        ASSERT_EQ(crc32(data.data(), data.size()),
                  crc32(data.data() + cut, data.size() - cut, first))
            << "cut at " << cut;
    }
}
