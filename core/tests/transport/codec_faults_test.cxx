// Frames that lie: each is refused with its own fault, and nothing is read out of bounds (the
// bytes are given as heap blocks of exactly their size, for the address sanitizer).
#include <gtest/gtest.h>

#include <algorithm>

#include "base/bytes.hxx"
#include "base/crc32.hxx"
#include "log_entry.hxx"
#include "transport/frame_body.hxx"
#include "transport/request_codec.hxx"
#include "transport/response_codec.hxx"
#include "transport/vectors.hxx"

namespace nuraft {
namespace transport {

namespace {

const std::vector<byte>& vector_named(const std::string& name) {
    static std::vector<byte> found;
    for (const request_vector& v : request_vectors())
        if (v.name == name) found = from_hex(v.hex);
    for (const response_vector& v : response_vectors())
        if (v.name == name) found = from_hex(v.hex);
    return found;
}

template <typename T>
void poke(std::vector<byte>& frame, size_t at, T value) {
    store_little_endian(frame.data() + at, value);
}

/// Makes the checksum of a request right again after its bytes were changed.
void seal_request(std::vector<byte>& frame) {
    uint32_t crc = crc32(frame.data(), request_header_crc_span);
    if (load_little_endian<uint32_t>(frame.data() + 50) & flag::whole_message_crc)
        crc = crc32(frame.data() + request_header_size, frame.size() - request_header_size, crc);
    poke(frame, 46, crc);
}

void seal_response(std::vector<byte>& frame) {
    poke(frame, 31, crc32(frame.data(), response_header_crc_span));
}

verdict read_request(const std::vector<byte>& frame) {
    request_header header;
    verdict v = parse_request_header(frame.data(), header);
    if (!v.ok()) return v;
    const std::vector<byte> body(frame.begin() + request_header_size, frame.end());
    decoded_request out;
    v = decode_request(header, body.data(), body.size(), out);
    EXPECT_EQ(v.ok(), out.msg != nullptr);
    return v;
}

verdict read_response(const std::vector<byte>& frame) {
    response_header header;
    verdict v = parse_response_header(frame.data(), header);
    if (!v.ok()) return v;
    const std::vector<byte> body(frame.begin() + response_header_size, frame.end());
    decoded_response out;
    v = decode_response(header, body.data(), body.size(), out);
    EXPECT_EQ(v.ok(), out.msg != nullptr);
    return v;
}

void expect_fault(const verdict& v, fault expected) {
    EXPECT_EQ(v.what, expected) << v.reason;
    EXPECT_FALSE(v.reason.empty());
}

}  // namespace

TEST(request_faults, header_checksum_comes_first) {
    std::vector<byte> frame = vector_named("TV-A9");
    frame[0] = 1;
    frame[1] = 99;
    poke<int32>(frame, 42, -1);
    expect_fault(read_request(frame), fault::header_crc);
}

TEST(request_faults, then_marker_then_type_then_body_size) {
    std::vector<byte> frame = vector_named("TV-A9");
    frame[0] = 1;
    frame[1] = 0;
    poke<int32>(frame, 42, -1);
    seal_request(frame);
    expect_fault(read_request(frame), fault::marker);
    frame[0] = 0;
    seal_request(frame);
    expect_fault(read_request(frame), fault::type);
    frame[1] = 30;
    seal_request(frame);
    expect_fault(read_request(frame), fault::type);
    frame[1] = 29;
    seal_request(frame);
    expect_fault(read_request(frame), fault::body_size);
    poke<uint32_t>(frame, 42, 0x40000001);
    seal_request(frame);
    expect_fault(read_request(frame), fault::body_size);
}

TEST(request_faults, largest_body_size_passes_the_header) {
    std::vector<byte> frame = vector_named("TV-A9");
    poke<uint32_t>(frame, 42, 0x40000000);
    seal_request(frame);
    request_header header;
    EXPECT_TRUE(parse_request_header(frame.data(), header).ok());
    EXPECT_EQ(header.body_size, max_body_size);
}

TEST(request_faults, checksum_over_the_message_is_verified_with_the_body) {
    std::vector<byte> frame = vector_named("TV-A6");
    frame.back() ^= 1;
    request_header header;
    EXPECT_TRUE(parse_request_header(frame.data(), header).ok());
    expect_fault(read_request(frame), fault::message_crc);
    frame = vector_named("TV-A6");
    frame[10] ^= 1;  // of the term: only the common checksum covers it
    expect_fault(read_request(frame), fault::message_crc);
}

TEST(request_faults, metadata_that_does_not_fit) {
    std::vector<byte> frame = vector_named("TV-A7");
    poke<uint32_t>(frame, request_header_size, 0xffffffff);
    expect_fault(read_request(frame), fault::metadata);
    frame = vector_named("TV-A9");
    frame.resize(request_header_size + 3);
    poke<int32>(frame, 42, 3);
    poke<uint32_t>(frame, 50, flag::metadata);
    seal_request(frame);
    expect_fault(read_request(frame), fault::metadata);
}

TEST(request_faults, metadata_flag_without_a_body_means_nothing) {
    std::vector<byte> frame = vector_named("TV-A2");
    poke<uint32_t>(frame, 50, flag::metadata);
    EXPECT_TRUE(read_request(frame).ok());
}

TEST(request_faults, flags_of_responses_mean_nothing) {
    std::vector<byte> frame = vector_named("TV-A9");
    poke<uint32_t>(frame, 50, flag::hint | flag::result_code);
    EXPECT_TRUE(read_request(frame).ok());
}

TEST(codec_faults, flags_that_nobody_knows_are_refused) {
    for (int bit = 7; bit < 32; ++bit) {
        std::vector<byte> request = vector_named("TV-A9");
        poke<uint32_t>(request, 50, 1u << bit);
        expect_fault(read_request(request), fault::flags);
        std::vector<byte> response = vector_named("TV-A11");
        poke<uint32_t>(response, 35, 1u << bit);
        expect_fault(read_response(response), fault::flags);
    }
}

TEST(response_faults, without_its_flag_there_is_no_result_code) {
    // As old members answer clients: all of the body is the context (wire section 9, 12).
    std::vector<byte> frame = vector_named("TV-C2");
    poke<uint32_t>(frame, 35, 0);
    response_header header;
    ASSERT_TRUE(parse_response_header(frame.data(), header).ok());
    decoded_response got;
    ASSERT_TRUE(decode_response(header, frame.data() + response_header_size,
                                frame.size() - response_header_size, got)
                    .ok());
    EXPECT_EQ(got.msg->get_ctx()->size(), 12u);
    EXPECT_EQ(got.msg->get_result_code(), cmd_result_code::OK);
}

TEST(request_faults, each_form_of_an_entry_needs_its_fixed_part) {
    for (const char* name : {"TV-A9", "TV-A3", "TV-A4", "TV-A5"}) {
        const std::vector<byte> whole = vector_named(name);
        const size_t fixed = whole.size() - request_header_size - 5;  // but for "hello"
        for (size_t left = 1; left < fixed; ++left) {
            std::vector<byte> frame(whole.begin(), whole.begin() + request_header_size + left);
            poke<int32>(frame, 42, static_cast<int32>(left));
            seal_request(frame);
            expect_fault(read_request(frame), fault::entry_header);
        }
    }
}

TEST(request_faults, payload_length_beyond_the_body) {
    for (int32 length : {6, 0x7fffffff, -1, -2147483647 - 1}) {
        std::vector<byte> frame = vector_named("TV-A9");
        poke<int32>(frame, request_header_size + 9, length);
        expect_fault(read_request(frame), fault::entry_length);
    }
}

TEST(request_faults, payload_that_does_not_match_its_checksum) {
    std::vector<byte> frame = vector_named("TV-A4");
    frame.back() ^= 0x80;
    expect_fault(read_request(frame), fault::entry_crc);
    frame[request_header_size + 9] = 0;  // "no checksum": the number is not looked at
    EXPECT_TRUE(read_request(frame).ok());
    frame[request_header_size + 9] = 7;  // anything but 0 is "yes"
    expect_fault(read_request(frame), fault::entry_crc);
}

TEST(request_faults, empty_payload_is_an_entry) {
    req_msg req(1, append_entries_request, 1, 2, 0, 0, 0);
    req.log_entries().push_back(cs_new<log_entry>(3, nullptr));
    req.log_entries().push_back(cs_new<log_entry>(4, buffer::alloc(0)));
    ptr<buffer> frame;
    ASSERT_TRUE(encode_request(req, "", request_format{true, true, true}, frame).ok());
    request_header header;
    ASSERT_TRUE(parse_request_header(frame->data_begin(), header).ok());
    decoded_request got;
    ASSERT_TRUE(decode_request(header, frame->data_begin() + request_header_size,
                               frame->size() - request_header_size, got)
                    .ok());
    ASSERT_EQ(got.msg->log_entries().size(), 2u);
    EXPECT_EQ(got.msg->log_entries()[0]->get_buf().size(), 0u);
    EXPECT_FALSE(got.msg->log_entries()[0]->has_crc32());
    EXPECT_EQ(got.msg->log_entries()[1]->get_term(), 4u);
}

TEST(response_faults, checksum_type_and_body_size) {
    std::vector<byte> frame = vector_named("TV-A11");
    frame[2] ^= 1;
    expect_fault(read_response(frame), fault::header_crc);
    frame = vector_named("TV-A11");
    for (byte type : {0, 30, 255}) {
        frame[1] = type;
        seal_response(frame);
        expect_fault(read_response(frame), fault::type);
    }
    frame[1] = 4;
    for (uint32_t size : {0xffffffffu, 0x80000000u, 0x40000001u}) {
        poke(frame, 27, size);
        seal_response(frame);
        expect_fault(read_response(frame), fault::body_size);
    }
}

TEST(response_faults, marker_is_not_looked_at_and_accepted_is_exactly_one) {
    std::vector<byte> frame = vector_named("TV-A11");
    frame[0] = 77;
    frame[26] = 2;
    seal_response(frame);
    response_header header;
    ASSERT_TRUE(parse_response_header(frame.data(), header).ok());
    EXPECT_FALSE(header.accepted);
}

TEST(response_faults, flags_of_requests_mean_nothing) {
    std::vector<byte> frame = vector_named("TV-A14");
    poke<uint32_t>(frame, 35, flag::log_timestamps | flag::whole_message_crc | flag::payload_crc);
    EXPECT_TRUE(read_response(frame).ok());
}

TEST(response_faults, sections_that_do_not_fit) {
    const auto with_body = [](uint32_t flags, std::vector<byte> body) {
        std::vector<byte> frame = vector_named("TV-A11");
        poke(frame, 27, static_cast<int32>(body.size()));
        poke(frame, 35, flags);
        seal_response(frame);
        frame.insert(frame.end(), body.begin(), body.end());
        return read_response(frame);
    };
    expect_fault(with_body(flag::metadata, {}), fault::metadata);
    expect_fault(with_body(flag::metadata, {2, 0, 0, 0, 'x'}), fault::metadata);
    expect_fault(with_body(flag::hint, std::vector<byte>(11)), fault::hint);
    expect_fault(with_body(flag::hint, {0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0}), fault::hint);
    expect_fault(with_body(flag::result_code, {0, 0, 0}), fault::result_code);
    expect_fault(with_body(flag::hint | flag::result_code, {0, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9}),
                 fault::result_code);
    EXPECT_TRUE(with_body(flag::metadata, {1, 0, 0, 0, 'x'}).ok());
    EXPECT_TRUE(with_body(flag::result_code, {0, 0, 0, 0}).ok());
}

TEST(codec_faults, every_truncation_of_every_vector_is_noticed) {
    // The header is read whole or not at all; a body that is cut is told from its announced size.
    for (const request_vector& v : request_vectors()) {
        const std::vector<byte> whole = from_hex(v.hex);
        request_header header;
        ASSERT_TRUE(parse_request_header(whole.data(), header).ok());
        for (size_t size = 0; size + request_header_size < whole.size(); ++size) {
            const std::vector<byte> body(whole.begin() + request_header_size,
                                         whole.begin() + request_header_size + size);
            decoded_request out;
            EXPECT_EQ(decode_request(header, body.data(), body.size(), out).what,
                      fault::body_truncated)
                << v.name << " with " << size << " bytes of body";
            // Even a header that announces the cut body must not lead out of it.
            request_header lying = header;
            lying.body_size = size;
            decode_request(lying, body.data(), body.size(), out);
        }
    }
    for (const response_vector& v : response_vectors()) {
        const std::vector<byte> whole = from_hex(v.hex);
        response_header header;
        ASSERT_TRUE(parse_response_header(whole.data(), header).ok());
        for (size_t size = 0; size + response_header_size < whole.size(); ++size) {
            const std::vector<byte> body(whole.begin() + response_header_size,
                                         whole.begin() + response_header_size + size);
            decoded_response out;
            EXPECT_EQ(decode_response(header, body.data(), body.size(), out).what,
                      fault::body_truncated)
                << v.name << " with " << size << " bytes of body";
            response_header lying = header;
            lying.body_size = size;
            decode_response(lying, body.data(), body.size(), out);
        }
    }
}

TEST(codec_faults, a_flipped_bit_under_a_checksum_is_noticed_and_any_other_is_harmless) {
    for (const request_vector& v : request_vectors()) {
        const std::vector<byte> whole = from_hex(v.hex);
        for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
            std::vector<byte> frame = whole;
            frame[bit / 8] ^= static_cast<byte>(1 << bit % 8);
            const bool ok = read_request(frame).ok();
            const bool covered =
                bit / 8 < 50 || (v.flags & flag::whole_message_crc && bit / 8 >= 54);
            EXPECT_FALSE(covered && ok) << v.name << " bit " << bit;
            seal_request(frame);
            read_request(frame);  // must not crash
        }
    }
    for (const response_vector& v : response_vectors()) {
        const std::vector<byte> whole = from_hex(v.hex);
        for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
            std::vector<byte> frame = whole;
            frame[bit / 8] ^= static_cast<byte>(1 << bit % 8);
            const bool ok = read_response(frame).ok();
            const bool covered = bit / 8 < 35;
            EXPECT_FALSE(covered && ok) << v.name << " bit " << bit;
            seal_response(frame);
            read_response(frame);  // must not crash
        }
    }
}

TEST(frame_body, grows_with_what_arrives) {
    frame_body body;
    body.start(max_body_size);
    EXPECT_FALSE(body.complete());
    size_t arrived = 0;
    for (size_t wanted = frame_body::first_piece_size; arrived < 10 * frame_body::max_piece_size;
         wanted = std::clamp(arrived, frame_body::first_piece_size, frame_body::max_piece_size)) {
        const size_t memory = body.memory_with_next_piece();
        EXPECT_LE(memory, std::max(frame_body::first_piece_size, 2 * arrived));
        EXPECT_EQ(body.next_piece().size, wanted);
        arrived += wanted;
        EXPECT_EQ(body.size(), arrived);
    }
    body.release();
    EXPECT_EQ(body.size(), 0u);
    body.start(3);
    const frame_body::piece rest = body.next_piece();
    EXPECT_EQ(rest.size, 3u);
    EXPECT_TRUE(body.complete());
    body.start(0);
    EXPECT_TRUE(body.complete());
}

}  // namespace transport
}  // namespace nuraft
