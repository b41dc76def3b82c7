#include "buffer.hxx"

#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>

#include "hex.hxx"
#include "objects.hxx"

using namespace nuraft;

namespace {

/// What must hold of each operation that runs past the end.
template <typename Operation>
void expect_overflow(buffer& buf, Operation operation) {
    const size_t before = buf.pos();
    EXPECT_THROW(operation(), std::overflow_error);
    EXPECT_EQ(before, buf.pos());
}

}  // namespace

TEST(buffer, starts_at_zero_with_the_size_asked_for) {
    ptr<buffer> buf = buffer::alloc(10);
    EXPECT_EQ(10u, buf->size());
    EXPECT_EQ(0u, buf->pos());
    EXPECT_EQ(buf->data_begin(), buf->data());
    EXPECT_EQ(0u, buffer::alloc(0)->size());
}

TEST(buffer, refuses_sizes_of_two_gigabytes_and_more) {
    EXPECT_THROW(buffer::alloc(0x80000000), std::out_of_range);
    EXPECT_THROW(buffer::alloc(SIZE_MAX), std::out_of_range);
}

TEST(buffer, container_has_bookkeeping) {
    EXPECT_EQ(104u, buffer::alloc(100)->container_size());
    EXPECT_EQ(0x7fffu + 4, buffer::alloc(0x7fff)->container_size());
    EXPECT_GT(buffer::alloc(0x8000)->container_size(), 0x8000u);
}

TEST(buffer, cursor_is_clamped_to_the_size) {
    ptr<buffer> buf = buffer::alloc(4);
    buf->pos(3);
    EXPECT_EQ(3u, buf->pos());
    EXPECT_EQ(buf->data_begin() + 3, buf->data());
    buf->pos(5);
    EXPECT_EQ(4u, buf->pos());
}

TEST(buffer, copy_takes_the_rest_and_clone_everything) {
    ptr<buffer> buf = from_text("abcdef");
    buf->pos(2);

    ptr<buffer> rest = buffer::copy(*buf);
    EXPECT_EQ("cdef", to_text(*rest));
    EXPECT_EQ(0u, rest->pos());

    ptr<buffer> all = buffer::clone(*buf);
    EXPECT_EQ("abcdef", to_text(*all));
    EXPECT_EQ(0u, all->pos());

    EXPECT_EQ(2u, buf->pos());
    all->put(static_cast<byte>('x'));
    EXPECT_EQ("abcdef", to_text(*buf));
}

TEST(buffer, expand_keeps_bytes_and_cursor) {
    ptr<buffer> buf = from_text("abc");
    buf->pos(2);
    ptr<buffer> larger = buffer::expand(*buf, 5);
    EXPECT_EQ(5u, larger->size());
    EXPECT_EQ(2u, larger->pos());
    EXPECT_EQ("abc", to_text(*larger).substr(0, 3));

    EXPECT_EQ(3u, buffer::expand(*buf, 3)->size());
    EXPECT_THROW(buffer::expand(*buf, 2), std::out_of_range);
    EXPECT_THROW(buffer::expand(*buf, 0x80000000), std::out_of_range);
}

TEST(buffer, writes_the_documented_bytes) {  // TV-P1
    ptr<buffer> buf = buffer::alloc(27);
    buf->put(static_cast<byte>(0xab));
    buf->put(static_cast<int32>(-2));
    buf->put(static_cast<int32>(0x01020304));
    buf->put(static_cast<ulong>(0x1122334455667788));
    buf->put("hi");
    buf->put("xyz", 3);
    EXPECT_EQ(vectors::p1, to_hex(*buf));
    EXPECT_EQ(27u, buf->pos());
}

TEST(buffer, reads_the_documented_bytes) {  // TV-P1
    ptr<buffer> buf = from_hex(vectors::p1);
    EXPECT_EQ(0xab, buf->get_byte());
    EXPECT_EQ(-2, buf->get_int());
    EXPECT_EQ(0x01020304, buf->get_int());
    EXPECT_EQ(0x1122334455667788u, buf->get_ulong());
    EXPECT_STREQ("hi", buf->get_str());
    size_t len = 0;
    const byte* bytes = buf->get_bytes(len);
    EXPECT_EQ("xyz", std::string(reinterpret_cast<const char*>(bytes), len));
    EXPECT_EQ(27u, buf->pos());
}

TEST(buffer, integers_keep_their_extremes) {
    ptr<buffer> buf = buffer::alloc(24);
    buf->put(INT32_MIN);
    buf->put(INT32_MAX);
    buf->put(static_cast<ulong>(0));
    buf->put(UINT64_MAX);
    buf->pos(0);
    EXPECT_EQ(INT32_MIN, buf->get_int());
    EXPECT_EQ(INT32_MAX, buf->get_int());
    EXPECT_EQ(0u, buf->get_ulong());
    EXPECT_EQ(UINT64_MAX, buf->get_ulong());
}

TEST(buffer, empty_text_is_null_and_one_byte_long) {
    ptr<buffer> buf = buffer::alloc(3);
    buf->put(std::string());
    buf->put("a");
    buf->pos(0);
    EXPECT_EQ(nullptr, buf->get_str());
    EXPECT_EQ(1u, buf->pos());
    EXPECT_STREQ("a", buf->get_str());
}

TEST(buffer, text_without_end_is_null_and_moves_nothing) {
    ptr<buffer> buf = from_text("abc");
    buf->pos(1);
    EXPECT_EQ(nullptr, buf->get_str());
    EXPECT_EQ(1u, buf->pos());
    buf->pos(3);
    EXPECT_EQ(nullptr, buf->get_str());
    EXPECT_EQ(3u, buf->pos());
}

TEST(buffer, pointers_lead_into_the_buffer) {
    ptr<buffer> buf = buffer::alloc(12);
    buf->put("abc", 3);
    buf->put("de");
    buf->put_raw(reinterpret_cast<const byte*>("fg"), 2);
    buf->pos(0);
    size_t len = 0;
    EXPECT_EQ(buf->data_begin() + 4, buf->get_bytes(len));
    EXPECT_EQ(3u, len);
    EXPECT_EQ(reinterpret_cast<const char*>(buf->data_begin()) + 7, buf->get_str());
    EXPECT_EQ(buf->data_begin() + 10, buf->get_raw(2));
    EXPECT_EQ(12u, buf->pos());
}

TEST(buffer, put_of_a_buffer_starts_at_its_cursor_and_leaves_it) {
    ptr<buffer> from = from_text("abcd");
    from->pos(1);
    ptr<buffer> to = buffer::alloc(3);
    to->put(*from);
    EXPECT_EQ("bcd", to_text(*to));
    EXPECT_EQ(1u, from->pos());
    EXPECT_EQ(3u, to->pos());
}

TEST(buffer, get_fills_the_rest_of_another_and_leaves_its_cursor) {
    ptr<buffer> from = from_text("abcdef");
    from->pos(1);
    ptr<buffer> to = from_text("....");
    to->pos(1);
    from->get(to);
    EXPECT_EQ(".bcd", to_text(*to));
    EXPECT_EQ(1u, to->pos());
    EXPECT_EQ(4u, from->pos());

    expect_overflow(*from, [&] { from->get(to); });
    ptr<buffer> none;
    EXPECT_THROW(from->get(none), std::invalid_argument);
}

TEST(buffer, reading_past_the_end_throws_and_moves_nothing) {
    ptr<buffer> buf = from_hex("000000000000000000");
    size_t len = 0;
    for (size_t left = 0; left < 8; ++left) {
        buf->pos(buf->size() - left);
        expect_overflow(*buf, [&] { buf->get_ulong(); });
        expect_overflow(*buf, [&] { buf->get_raw(left + 1); });
        if (left < 4) expect_overflow(*buf, [&] { buf->get_int(); });
        if (left < 4) expect_overflow(*buf, [&] { buf->get_bytes(len); });
    }
    buf->pos(buf->size());
    expect_overflow(*buf, [&] { buf->get_byte(); });
    expect_overflow(*buf, [&] { buf->get_raw(SIZE_MAX); });
}

TEST(buffer, length_field_is_not_trusted) {
    size_t len = 7;
    for (const char* hex :
         {"04000000616263", "ffffffff616263", "00000080616263", "ffffff7f616263"}) {
        ptr<buffer> buf = from_hex(hex);
        expect_overflow(*buf, [&] { buf->get_bytes(len); });
    }
    EXPECT_EQ(7u, len);
}

TEST(buffer, writing_past_the_end_throws_and_moves_nothing) {
    ptr<buffer> buf = buffer::alloc(7);
    buf->pos(4);
    expect_overflow(*buf, [&] { buf->put(static_cast<int32>(1)); });
    expect_overflow(*buf, [&] { buf->put(static_cast<ulong>(1)); });
    expect_overflow(*buf, [&] { buf->put("abc"); });
    expect_overflow(*buf, [&] { buf->put("", 0); });
    expect_overflow(*buf, [&] { buf->put_raw(buf->data_begin(), 4); });
    expect_overflow(*buf, [&] { buf->put(*from_text("abcd")); });
    expect_overflow(*buf, [&] { buf->put(buf->data_begin(), SIZE_MAX); });
    expect_overflow(*buf, [&] { buf->put(buf->data_begin(), SIZE_MAX - 2); });
    buf->pos(7);
    expect_overflow(*buf, [&] { buf->put(static_cast<byte>(1)); });
}

TEST(buffer, nothing_fits_into_nothing) {
    ptr<buffer> buf = buffer::alloc(0);
    buf->put_raw(nullptr, 0);
    buf->put(*buffer::alloc(0));
    EXPECT_EQ(buf->data_begin(), buf->get_raw(0));
    EXPECT_EQ(nullptr, buf->get_str());
    EXPECT_EQ(0u, buffer::copy(*buf)->size());
    expect_overflow(*buf, [&] { buf->get_byte(); });
}

TEST(buffer, streams_go_from_the_cursor_to_the_end) {
    ptr<buffer> from = from_text("abcdef");
    from->pos(2);
    std::stringstream stream;
    stream << *from;
    EXPECT_EQ("cdef", stream.str());
    EXPECT_EQ(2u, from->pos());

    ptr<buffer> to = from_text("......");
    to->pos(2);
    stream >> *to;
    EXPECT_EQ("..cdef", to_text(*to));
    EXPECT_EQ(2u, to->pos());
}

TEST(buffer, bad_streams_fail) {
    ptr<buffer> buf = from_text("abc");
    std::stringstream bad;
    bad.setstate(std::ios::badbit);
    EXPECT_THROW(bad << *buf, std::ios::failure);
    EXPECT_THROW(bad >> *buf, std::ios::failure);
    std::stringstream shorter("ab");
    EXPECT_THROW(shorter >> *buf, std::ios::failure);
}
