// Random messages survive the way through bytes, and random bytes do no harm. The seed is printed
// when a test fails; RAFT3D_SEED repeats a run.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "log_entry.hxx"
#include "transport/request_codec.hxx"
#include "transport/response_codec.hxx"
#include "transport/wire_format.hxx"

namespace nuraft {
namespace transport {

namespace {

class chance {
public:
    explicit chance(uint64_t seed) : engine_(seed) {}
    uint64_t number() {
        // Small, large and edge values alike.
        switch (engine_() % 4) {
            case 0:
                return engine_() % 4;
            case 1:
                return ~(engine_() % 4);
            default:
                return engine_();
        }
    }
    bool yes() { return engine_() % 2 == 0; }
    size_t below(size_t limit) { return engine_() % limit; }
    std::string bytes(size_t size) {
        std::string made(size, '\0');
        for (char& c : made) c = static_cast<char>(engine_());
        return made;
    }
    msg_type type() { return static_cast<msg_type>(1 + below(29)); }

private:
    std::mt19937_64 engine_;
};

uint64_t first_seed() {
    const char* given = std::getenv("RAFT3D_SEED");
    return given ? std::strtoull(given, nullptr, 10) : 20261123;
}

ptr<buffer> buffer_of(const std::string& bytes) {
    ptr<buffer> made = buffer::alloc(bytes.size());
    made->put_raw(reinterpret_cast<const byte*>(bytes.data()), bytes.size());
    made->pos(0);
    return made;
}

std::string bytes_of(const ptr<buffer>& b) {
    return b ? std::string(reinterpret_cast<const char*>(b->data_begin()), b->size()) : "";
}

void request_round_trip(chance& c) {
    req_msg req(c.number(), c.type(), static_cast<int32>(c.number()),
                static_cast<int32>(c.number()), c.number(), c.number(), c.number());
    if (c.yes()) req.set_extra_flags(req_msg::EXCLUDED_FROM_THE_QUORUM);
    for (size_t n = c.below(6); n > 0; --n)
        req.log_entries().push_back(cs_new<log_entry>(
            c.number(), c.yes() ? buffer_of(c.bytes(c.below(200))) : nullptr,
            static_cast<log_val_type>(c.below(256)), c.number(), false, 0, c.yes()));
    const request_format format{c.yes(), c.yes(), c.yes()};
    const std::string metadata = c.yes() ? c.bytes(c.below(50)) : "";

    ptr<buffer> frame;
    ASSERT_TRUE(encode_request(req, metadata, format, frame).ok());
    request_header header;
    ASSERT_TRUE(parse_request_header(frame->data_begin(), header).ok());
    decoded_request got;
    const verdict v = decode_request(header, frame->data_begin() + request_header_size,
                                     frame->size() - request_header_size, got);
    ASSERT_TRUE(v.ok()) << v.reason;

    EXPECT_EQ(got.metadata, metadata);
    EXPECT_EQ(got.msg->get_type(), req.get_type());
    EXPECT_EQ(got.msg->get_src(), req.get_src());
    EXPECT_EQ(got.msg->get_dst(), req.get_dst());
    EXPECT_EQ(got.msg->get_term(), req.get_term());
    EXPECT_EQ(got.msg->get_last_log_term(), req.get_last_log_term());
    EXPECT_EQ(got.msg->get_last_log_idx(), req.get_last_log_idx());
    EXPECT_EQ(got.msg->get_commit_idx(), req.get_commit_idx());
    EXPECT_EQ(got.msg->get_extra_flags(), req.get_extra_flags());
    ASSERT_EQ(got.msg->log_entries().size(), req.log_entries().size());
    for (size_t i = 0; i < req.log_entries().size(); ++i) {
        const log_entry& sent = *req.log_entries()[i];
        const log_entry& came = *got.msg->log_entries()[i];
        EXPECT_EQ(came.get_term(), sent.get_term());
        EXPECT_EQ(came.get_val_type(), sent.get_val_type());
        EXPECT_EQ(came.get_timestamp(), format.log_timestamps ? sent.get_timestamp() : 0);
        EXPECT_EQ(came.has_crc32(), format.payload_crc && sent.has_crc32());
        if (came.has_crc32()) {
            EXPECT_EQ(came.get_crc32(), sent.get_crc32());
        }
        EXPECT_EQ(bytes_of(came.get_buf_ptr()), bytes_of(sent.get_buf_ptr()));
    }
}

void response_round_trip(chance& c) {
    const msg_type request_type = c.type();
    resp_msg resp(c.number(), c.type(), static_cast<int32>(c.number()),
                  static_cast<int32>(c.number()), c.number(), c.yes());
    if (c.yes()) resp.set_extra_flags(resp_msg::SELF_MARK_DOWN);
    if (c.yes()) resp.set_ctx(buffer_of(c.bytes(1 + c.below(100))));
    if (c.yes()) resp.set_next_batch_size_hint_in_bytes(static_cast<int64>(c.number()));
    if (answer_has_result_code(request_type))
        resp.set_result_code(static_cast<cmd_result_code>(static_cast<int32>(c.number())));
    const std::string metadata = c.yes() ? c.bytes(c.below(50)) : "";

    ptr<buffer> frame;
    ASSERT_TRUE(encode_response(resp, request_type, metadata, frame).ok());
    response_header header;
    ASSERT_TRUE(parse_response_header(frame->data_begin(), header).ok());
    decoded_response got;
    const verdict v = decode_response(header, frame->data_begin() + response_header_size,
                                      frame->size() - response_header_size, got);
    ASSERT_TRUE(v.ok()) << v.reason;

    EXPECT_EQ(got.metadata, metadata);
    EXPECT_EQ(got.msg->get_type(), resp.get_type());
    EXPECT_EQ(got.msg->get_src(), resp.get_src());
    EXPECT_EQ(got.msg->get_dst(), resp.get_dst());
    EXPECT_EQ(got.msg->get_term(), resp.get_term());
    EXPECT_EQ(got.msg->get_next_idx(), resp.get_next_idx());
    EXPECT_EQ(got.msg->get_accepted(), resp.get_accepted());
    EXPECT_EQ(got.msg->get_extra_flags(), resp.get_extra_flags());
    EXPECT_EQ(got.msg->get_next_batch_size_hint_in_bytes(),
              resp.get_next_batch_size_hint_in_bytes());
    EXPECT_EQ(got.msg->get_result_code(), resp.get_result_code());
    EXPECT_EQ(bytes_of(got.msg->get_ctx()), bytes_of(resp.get_ctx()));
}

/// A body of random bytes under random flags: any outcome will do but a crash.
void random_bodies(chance& c) {
    const std::string bytes = c.bytes(c.below(120));
    const std::vector<byte> body(bytes.begin(), bytes.end());
    request_header request;
    request.type = append_entries_request;
    request.body_size = body.size();
    request.flags = static_cast<uint32_t>(c.number()) & ~flag::whole_message_crc;
    decoded_request got_request;
    const verdict r = decode_request(request, body.data(), body.size(), got_request);
    EXPECT_EQ(r.ok(), got_request.msg != nullptr);

    response_header response;
    response.type = append_entries_response;
    response.body_size = body.size();
    response.flags = static_cast<uint32_t>(c.number());
    decoded_response got_response;
    const verdict s = decode_response(response, body.data(), body.size(), got_response);
    EXPECT_EQ(s.ok(), got_response.msg != nullptr);
}

void repeat(void (*run)(chance&)) {
    for (uint64_t seed = first_seed(), last = seed + 2000; seed < last; ++seed) {
        chance c(seed);
        run(c);
        if (testing::Test::HasFailure()) FAIL() << "repeat with RAFT3D_SEED=" << seed;
    }
}

}  // namespace

TEST(codec_random, requests_survive_the_way_through_bytes) {
    repeat(request_round_trip);
}
TEST(codec_random, responses_survive_the_way_through_bytes) {
    repeat(response_round_trip);
}
TEST(codec_random, random_bodies_do_no_harm) {
    repeat(random_bodies);
}

}  // namespace transport
}  // namespace nuraft
