#include "log_entry.hxx"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/crc32.hxx"
#include "hex.hxx"
#include "objects.hxx"

using namespace nuraft;

namespace {

const uint32_t hello_crc = 0x3610a686;

}  // namespace

TEST(log_entry, defaults) {
    ptr<buffer> payload = from_text("hello");
    log_entry entry(3, payload);
    EXPECT_EQ(3u, entry.get_term());
    EXPECT_EQ(log_val_type::app_log, entry.get_val_type());
    EXPECT_EQ(payload, entry.get_buf_ptr()) << "the payload is shared";
    EXPECT_EQ(payload.get(), &entry.get_buf());
    EXPECT_FALSE(entry.is_buf_null());
    EXPECT_EQ(0u, entry.get_timestamp());
    EXPECT_TRUE(entry.has_crc32());
    EXPECT_EQ(hello_crc, entry.get_crc32());
}

TEST(log_entry, term_and_timestamp_can_be_set) {
    log_entry entry(0, from_text("x"));
    entry.set_term(UINT64_MAX);
    entry.set_timestamp(1700000000000000);
    EXPECT_EQ(UINT64_MAX, entry.get_term());
    EXPECT_EQ(1700000000000000u, entry.get_timestamp());
}

TEST(log_entry, checksum_covers_the_whole_payload_whatever_its_cursor) {
    ptr<buffer> payload = from_text("hello");
    payload->pos(3);
    EXPECT_EQ(hello_crc, log_entry(1, payload).get_crc32());
    EXPECT_EQ(3u, payload->pos());
}

TEST(log_entry, given_checksum_is_kept) {
    log_entry entry(1, from_text("hello"), log_val_type::conf, 5, true, 42);
    EXPECT_TRUE(entry.has_crc32());
    EXPECT_EQ(42u, entry.get_crc32());
    EXPECT_EQ(5u, entry.get_timestamp());
}

TEST(log_entry, unwanted_checksum_is_not_computed) {
    log_entry entry(1, from_text("hello"), log_val_type::app_log, 0, false, 0, false);
    EXPECT_FALSE(entry.has_crc32());
    entry.set_crc32(9);
    EXPECT_FALSE(entry.has_crc32());
    EXPECT_EQ(9u, entry.get_crc32());
    entry.change_buf(from_text("other"));
    EXPECT_EQ(9u, entry.get_crc32()) << "an entry without a checksum gets none";
}

TEST(log_entry, without_payload) {
    log_entry entry(7, nullptr);
    EXPECT_TRUE(entry.is_buf_null());
    EXPECT_FALSE(entry.has_crc32());
    EXPECT_EQ(nullptr, entry.get_buf_ptr());
    EXPECT_THROW(entry.get_buf(), std::runtime_error);
    EXPECT_EQ("070000000000000001", to_hex(*entry.serialize()));
}

TEST(log_entry, changing_the_payload_renews_the_checksum) {
    log_entry entry(1, from_text("hello"));
    entry.change_buf(from_text("world"));
    EXPECT_EQ("world", to_text(entry.get_buf()));
    EXPECT_EQ(crc32("world", 5), entry.get_crc32());
    entry.change_buf(nullptr);
    EXPECT_TRUE(entry.is_buf_null());
    EXPECT_EQ(crc32("world", 5), entry.get_crc32());
}

TEST(log_entry, serializes_to_the_documented_bytes) {  // TV-O15
    ptr<buffer> payload = from_text("hello");
    payload->pos(2);
    log_entry entry(3, payload, log_val_type::app_log, 99);
    ptr<buffer> bytes = entry.serialize();
    EXPECT_EQ(vectors::o15, to_hex(*bytes));
    EXPECT_EQ(0u, bytes->pos());
    EXPECT_EQ(0u, payload->pos());
}

TEST(log_entry, reads_the_documented_bytes_from_the_cursor) {  // TV-O15
    ptr<buffer> bytes = from_hex("ffff" + vectors::o15);
    bytes->pos(2);
    ptr<log_entry> entry = log_entry::deserialize(*bytes);
    EXPECT_EQ(11u, bytes->pos());
    EXPECT_EQ(3u, entry->get_term());
    EXPECT_EQ(log_val_type::app_log, entry->get_val_type());
    EXPECT_EQ("hello", to_text(entry->get_buf()));
    EXPECT_EQ(0u, entry->get_buf().pos());
    EXPECT_EQ(0u, entry->get_timestamp());
    EXPECT_TRUE(entry->has_crc32());
    EXPECT_EQ(hello_crc, entry->get_crc32());

    bytes->data_begin()[11] = 'j';
    EXPECT_EQ("hello", to_text(entry->get_buf())) << "the payload is a copy";
}

TEST(log_entry, type_byte_survives_verbatim) {
    for (int type : {1, 2, 3, 4, 5, 231, 77}) {
        log_entry entry(1, from_text("p"), static_cast<log_val_type>(type));
        ptr<buffer> bytes = entry.serialize();
        EXPECT_EQ(type, log_entry::deserialize(*bytes)->get_val_type());
    }
}

TEST(log_entry, empty_payload_is_not_null_after_reading) {
    ptr<buffer> bytes = log_entry(4, buffer::alloc(0)).serialize();
    EXPECT_EQ(9u, bytes->size());
    ptr<log_entry> entry = log_entry::deserialize(*bytes);
    EXPECT_FALSE(entry->is_buf_null());
    EXPECT_EQ(0u, entry->get_buf().size());
}

TEST(log_entry, term_in_buffer_rewinds) {
    ptr<buffer> bytes = from_hex("ff" + vectors::o15);
    bytes->pos(1);
    EXPECT_EQ(3u, log_entry::term_in_buffer(*bytes));
    EXPECT_EQ(0u, bytes->pos());
    EXPECT_THROW(log_entry::term_in_buffer(*from_hex("01020304")), std::overflow_error);
}
