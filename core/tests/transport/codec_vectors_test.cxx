// One message of every kind, both ways: bytes to values and values to the same bytes.
#include <gtest/gtest.h>

#include "log_entry.hxx"
#include "transport/request_codec.hxx"
#include "transport/response_codec.hxx"
#include "transport/vectors.hxx"

namespace nuraft {
namespace transport {

namespace {

ptr<buffer> to_buffer(const std::string& hex) {
    const std::vector<byte> bytes = from_hex(hex);
    ptr<buffer> made = buffer::alloc(bytes.size());
    made->put_raw(bytes.data(), bytes.size());
    return made;
}

std::string hex_of(const buffer& b) {
    return to_hex(b.data_begin(), b.size());
}

class request_vectors_test : public testing::TestWithParam<request_vector> {};
class response_vectors_test : public testing::TestWithParam<response_vector> {};

}  // namespace

TEST_P(request_vectors_test, values_give_the_bytes) {
    const request_vector& v = GetParam();
    req_msg req(v.term, v.type, v.src, v.dst, v.last_log_term, v.last_log_idx, v.commit_idx);
    if (v.flags & flag::mark_down) req.set_extra_flags(req_msg::EXCLUDED_FROM_THE_QUORUM);
    for (const entry_value& e : v.entries)
        req.log_entries().push_back(
            cs_new<log_entry>(e.term, to_buffer(e.payload_hex), e.type, e.timestamp));
    const request_format format{(v.flags & flag::log_timestamps) != 0,
                                (v.flags & flag::whole_message_crc) != 0,
                                (v.flags & flag::payload_crc) != 0};
    ptr<buffer> frame;
    ASSERT_TRUE(encode_request(req, v.metadata, format, frame).ok());
    EXPECT_EQ(hex_of(*frame), v.hex);
}

TEST_P(request_vectors_test, bytes_give_the_values) {
    const request_vector& v = GetParam();
    const std::vector<byte> bytes = from_hex(v.hex);
    request_header header;
    ASSERT_TRUE(parse_request_header(bytes.data(), header).ok());
    EXPECT_EQ(header.flags, v.flags);
    ASSERT_EQ(header.body_size, bytes.size() - request_header_size);
    decoded_request got;
    const verdict seen = decode_request(header, bytes.data() + request_header_size,
                                        bytes.size() - request_header_size, got);
    ASSERT_TRUE(seen.ok()) << seen.reason;

    EXPECT_EQ(got.metadata, v.metadata);
    EXPECT_EQ(got.msg->get_type(), v.type);
    EXPECT_EQ(got.msg->get_src(), v.src);
    EXPECT_EQ(got.msg->get_dst(), v.dst);
    EXPECT_EQ(got.msg->get_term(), v.term);
    EXPECT_EQ(got.msg->get_last_log_term(), v.last_log_term);
    EXPECT_EQ(got.msg->get_last_log_idx(), v.last_log_idx);
    EXPECT_EQ(got.msg->get_commit_idx(), v.commit_idx);
    EXPECT_EQ(got.msg->get_extra_flags() == req_msg::EXCLUDED_FROM_THE_QUORUM,
              (v.flags & flag::mark_down) != 0);
    ASSERT_EQ(got.msg->log_entries().size(), v.entries.size());
    for (size_t i = 0; i < v.entries.size(); ++i) {
        const log_entry& entry = *got.msg->log_entries()[i];
        EXPECT_EQ(entry.get_term(), v.entries[i].term);
        EXPECT_EQ(entry.get_val_type(), v.entries[i].type);
        EXPECT_EQ(entry.get_timestamp(), v.entries[i].timestamp);
        EXPECT_EQ(entry.has_crc32(), v.entries[i].has_crc);
        if (v.entries[i].has_crc) {
            EXPECT_EQ(entry.get_crc32(), v.entries[i].crc);
        }
        EXPECT_EQ(hex_of(entry.get_buf()), v.entries[i].payload_hex);
        EXPECT_EQ(entry.get_buf().pos(), 0u);
    }
}

TEST_P(response_vectors_test, values_give_the_bytes) {
    const response_vector& v = GetParam();
    resp_msg resp(v.term, v.type, v.src, v.dst, v.next_idx, v.accepted);
    if (v.flags & flag::mark_down) resp.set_extra_flags(resp_msg::SELF_MARK_DOWN);
    if (!v.context_hex.empty()) resp.set_ctx(to_buffer(v.context_hex));
    resp.set_next_batch_size_hint_in_bytes(v.hint);
    resp.set_result_code(static_cast<cmd_result_code>(v.result_code));
    ptr<buffer> frame;
    ASSERT_TRUE(encode_response(resp, v.request_type, v.metadata, frame).ok());
    EXPECT_EQ(hex_of(*frame), v.hex);
}

TEST_P(response_vectors_test, bytes_give_the_values) {
    const response_vector& v = GetParam();
    const std::vector<byte> bytes = from_hex(v.hex);
    response_header header;
    ASSERT_TRUE(parse_response_header(bytes.data(), header).ok());
    EXPECT_EQ(header.flags, v.flags);
    decoded_response got;
    const verdict seen = decode_response(header, bytes.data() + response_header_size,
                                         bytes.size() - response_header_size, got);
    ASSERT_TRUE(seen.ok()) << seen.reason;

    EXPECT_EQ(got.metadata, v.metadata);
    EXPECT_EQ(got.msg->get_type(), v.type);
    EXPECT_EQ(got.msg->get_src(), v.src);
    EXPECT_EQ(got.msg->get_dst(), v.dst);
    EXPECT_EQ(got.msg->get_term(), v.term);
    EXPECT_EQ(got.msg->get_next_idx(), v.next_idx);
    EXPECT_EQ(got.msg->get_accepted(), v.accepted);
    EXPECT_EQ(got.msg->get_next_batch_size_hint_in_bytes(), v.hint);
    EXPECT_EQ(got.msg->get_result_code(), v.result_code);
    EXPECT_EQ(got.msg->get_extra_flags() == resp_msg::SELF_MARK_DOWN,
              (v.flags & flag::mark_down) != 0);
    ASSERT_EQ(got.msg->get_ctx() != nullptr, !v.context_hex.empty());
    if (got.msg->get_ctx()) {
        EXPECT_EQ(hex_of(*got.msg->get_ctx()), v.context_hex);
    }
}

namespace {
// Parameters are named by their vector, with the dash that test names cannot have left out.
template <typename V>
std::string name_of(const testing::TestParamInfo<V>& info) {
    return "TV" + info.param.name.substr(3);
}
}  // namespace

INSTANTIATE_TEST_SUITE_P(wire, request_vectors_test, testing::ValuesIn(request_vectors()),
                         name_of<request_vector>);
INSTANTIATE_TEST_SUITE_P(wire, response_vectors_test, testing::ValuesIn(response_vectors()),
                         name_of<response_vector>);

}  // namespace transport
}  // namespace nuraft
