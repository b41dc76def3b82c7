#include "buffer_serializer.hxx"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "hex.hxx"
#include "objects.hxx"

using namespace nuraft;

namespace {

template <typename Operation>
void expect_overflow(buffer_serializer& bs, Operation operation) {
    const size_t before = bs.pos();
    EXPECT_THROW(operation(), std::overflow_error);
    EXPECT_EQ(before, bs.pos());
}

}  // namespace

TEST(buffer_serializer, has_a_cursor_of_its_own) {
    ptr<buffer> buf = from_text("abcd");
    buf->pos(3);
    buffer_serializer bs(buf);
    EXPECT_EQ(0u, bs.pos());
    EXPECT_EQ(4u, bs.size());
    EXPECT_EQ('a', bs.get_u8());
    EXPECT_EQ(buf->data_begin() + 1, bs.data());
    EXPECT_EQ(3u, buf->pos());
    bs.pos(4);
    EXPECT_EQ(4u, bs.pos());
    expect_overflow(bs, [&] { bs.pos(5); });
}

TEST(buffer_serializer, refuses_a_null_buffer) {
    ptr<buffer> none;
    EXPECT_THROW(buffer_serializer bs(none), std::invalid_argument);
}

TEST(buffer_serializer, writes_the_documented_bytes) {  // TV-P2
    ptr<buffer> buf = buffer::alloc(49);
    buffer_serializer bs(*buf);
    bs.put_u8(0xab);
    bs.put_u16(0x0102);
    bs.put_u32(0x01020304);
    bs.put_u64(0x1122334455667788);
    bs.put_i8(-1);
    bs.put_i16(-2);
    bs.put_i32(-3);
    bs.put_i64(-4);
    bs.put_str("hi");
    bs.put_cstr("hi");
    bs.put_bytes("xyz", 3);
    bs.put_raw("raw", 3);
    EXPECT_EQ(vectors::p2, to_hex(*buf));
    EXPECT_EQ(49u, bs.pos());
    EXPECT_EQ(0u, buf->pos());
}

TEST(buffer_serializer, reads_the_documented_bytes) {  // TV-P2
    ptr<buffer> buf = from_hex(vectors::p2);
    buffer_serializer bs(buf);
    EXPECT_EQ(0xab, bs.get_u8());
    EXPECT_EQ(0x0102, bs.get_u16());
    EXPECT_EQ(0x01020304u, bs.get_u32());
    EXPECT_EQ(0x1122334455667788u, bs.get_u64());
    EXPECT_EQ(-1, bs.get_i8());
    EXPECT_EQ(-2, bs.get_i16());
    EXPECT_EQ(-3, bs.get_i32());
    EXPECT_EQ(-4, bs.get_i64());
    EXPECT_EQ("hi", bs.get_str());
    EXPECT_STREQ("hi", bs.get_cstr());
    size_t len = 0;
    EXPECT_EQ(0, std::memcmp("xyz", bs.get_bytes(len), 3));
    EXPECT_EQ(3u, len);
    EXPECT_EQ(0, std::memcmp("raw", bs.get_raw(3), 3));
    EXPECT_EQ(49u, bs.pos());
}

TEST(buffer_serializer, big_endian_covers_integers_and_lengths) {  // TV-P3
    ptr<buffer> buf = buffer::alloc(20);
    buffer_serializer out(buf, buffer_serializer::BIG);
    out.put_u16(0x0102);
    out.put_u32(0x01020304);
    out.put_u64(0x1122334455667788);
    out.put_str("hi");
    EXPECT_EQ(vectors::p3, to_hex(*buf));

    buffer_serializer in(*buf, buffer_serializer::BIG);
    EXPECT_EQ(0x0102, in.get_u16());
    EXPECT_EQ(0x01020304u, in.get_u32());
    EXPECT_EQ(0x1122334455667788u, in.get_u64());
    EXPECT_EQ("hi", in.get_str());
}

TEST(buffer_serializer, integers_keep_their_extremes_in_both_orders) {
    for (auto order : {buffer_serializer::LITTLE, buffer_serializer::BIG}) {
        ptr<buffer> buf = buffer::alloc(30);
        buffer_serializer out(buf, order);
        out.put_i8(INT8_MIN);
        out.put_u8(UINT8_MAX);
        out.put_i16(INT16_MIN);
        out.put_u16(UINT16_MAX);
        out.put_i32(INT32_MIN);
        out.put_u32(UINT32_MAX);
        out.put_i64(INT64_MIN);
        out.put_u64(UINT64_MAX);
        buffer_serializer in(buf, order);
        EXPECT_EQ(INT8_MIN, in.get_i8());
        EXPECT_EQ(UINT8_MAX, in.get_u8());
        EXPECT_EQ(INT16_MIN, in.get_i16());
        EXPECT_EQ(UINT16_MAX, in.get_u16());
        EXPECT_EQ(INT32_MIN, in.get_i32());
        EXPECT_EQ(UINT32_MAX, in.get_u32());
        EXPECT_EQ(INT64_MIN, in.get_i64());
        EXPECT_EQ(UINT64_MAX, in.get_u64());
    }
}

TEST(buffer_serializer, buffers_travel_from_cursor_to_end_with_cursors_unmoved) {
    ptr<buffer> from = from_text("abcd");
    from->pos(1);
    ptr<buffer> wire = buffer::alloc(3);
    buffer_serializer out(wire);
    out.put_buffer(*from);
    EXPECT_EQ("bcd", to_text(*wire));
    EXPECT_EQ(1u, from->pos());

    ptr<buffer> to = from_text("....");
    to->pos(2);
    buffer_serializer in(wire);
    in.get_buffer(to);
    EXPECT_EQ("..bc", to_text(*to));
    EXPECT_EQ(2u, to->pos());
    EXPECT_EQ(2u, in.pos());
    expect_overflow(in, [&] { in.get_buffer(to); });
    ptr<buffer> none;
    EXPECT_THROW(in.get_buffer(none), std::invalid_argument);
}

TEST(buffer_serializer, strings_may_hold_nul) {
    const std::string text("a\0b", 3);
    ptr<buffer> buf = buffer::alloc(7);
    buffer_serializer out(buf);
    out.put_str(text);
    buffer_serializer in(buf);
    EXPECT_EQ(text, in.get_str());
}

TEST(buffer_serializer, empty_text_is_not_null) {
    ptr<buffer> buf = from_hex("00");
    buffer_serializer bs(buf);
    EXPECT_STREQ("", bs.get_cstr());
    EXPECT_EQ(1u, bs.pos());
}

TEST(buffer_serializer, search_for_the_end_of_text_is_bounded) {
    ptr<buffer> buf = from_text("abc");
    buffer_serializer bs(buf);
    expect_overflow(bs, [&] { bs.get_cstr(); });
    bs.pos(3);
    expect_overflow(bs, [&] { bs.get_cstr(); });
}

TEST(buffer_serializer, reading_past_the_end_throws_and_moves_nothing) {
    ptr<buffer> buf = from_hex("000000000000000000");
    buffer_serializer bs(buf);
    size_t len = 0;
    for (size_t left = 0; left < 8; ++left) {
        bs.pos(buf->size() - left);
        expect_overflow(bs, [&] { bs.get_u64(); });
        expect_overflow(bs, [&] { bs.get_i64(); });
        expect_overflow(bs, [&] { bs.get_raw(left + 1); });
        if (left >= 4) continue;
        expect_overflow(bs, [&] { bs.get_u32(); });
        expect_overflow(bs, [&] { bs.get_i32(); });
        expect_overflow(bs, [&] { bs.get_str(); });
        expect_overflow(bs, [&] { bs.get_bytes(len); });
        if (left >= 2) continue;
        expect_overflow(bs, [&] { bs.get_u16(); });
        expect_overflow(bs, [&] { bs.get_i16(); });
    }
    bs.pos(buf->size());
    expect_overflow(bs, [&] { bs.get_u8(); });
    expect_overflow(bs, [&] { bs.get_i8(); });
    expect_overflow(bs, [&] { bs.get_raw(SIZE_MAX); });
}

TEST(buffer_serializer, length_field_is_not_trusted) {
    size_t len = 7;
    for (const char* hex : {"04000000616263", "ffffffff616263", "00000080616263"}) {
        ptr<buffer> buf = from_hex(hex);
        buffer_serializer bs(buf);
        expect_overflow(bs, [&] { bs.get_bytes(len); });
        expect_overflow(bs, [&] { bs.get_str(); });
    }
    EXPECT_EQ(7u, len);
}

TEST(buffer_serializer, writing_past_the_end_throws_and_moves_nothing) {
    ptr<buffer> buf = buffer::alloc(8);
    buffer_serializer bs(buf);
    bs.pos(1);
    expect_overflow(bs, [&] { bs.put_u64(1); });
    expect_overflow(bs, [&] { bs.put_i64(1); });
    expect_overflow(bs, [&] { bs.put_str("abcd"); });
    expect_overflow(bs, [&] { bs.put_bytes("abcd", 4); });
    expect_overflow(bs, [&] { bs.put_bytes("", SIZE_MAX); });
    expect_overflow(bs, [&] { bs.put_raw("", SIZE_MAX); });
    expect_overflow(bs, [&] { bs.put_cstr("abcdefg"); });
    expect_overflow(bs, [&] { bs.put_buffer(*from_text("abcdefgh")); });
    bs.pos(5);
    expect_overflow(bs, [&] { bs.put_u32(1); });
    expect_overflow(bs, [&] { bs.put_i32(1); });
    expect_overflow(bs, [&] { bs.put_str(""); });
    bs.pos(7);
    expect_overflow(bs, [&] { bs.put_u16(1); });
    expect_overflow(bs, [&] { bs.put_i16(1); });
    bs.pos(8);
    expect_overflow(bs, [&] { bs.put_u8(1); });
    expect_overflow(bs, [&] { bs.put_i8(1); });
    bs.put_raw(nullptr, 0);
}
