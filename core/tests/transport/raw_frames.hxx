#pragma once

#include <string>
#include <vector>

#include "base/bytes.hxx"
#include "base/crc32.hxx"
#include "transport/doubles.hxx"
#include "transport/raw_socket.hxx"
#include "transport/request_codec.hxx"
#include "transport/response_codec.hxx"

namespace nuraft {
namespace transport {

inline ptr<buffer> frame_of(req_msg& req, const std::string& metadata = "") {
    ptr<buffer> frame;
    encode_request(req, metadata, request_format(), frame);
    return frame;
}

inline ptr<buffer> heartbeat_frame(ulong number) {
    return frame_of(*heartbeat(number));
}

/// Reads one answer; its next_idx, or all ones if none came.
inline ulong read_answer(raw_socket& from) {
    const std::vector<byte> bytes = from.receive(response_header_size);
    response_header header;
    if (bytes.size() < response_header_size || !parse_response_header(bytes.data(), header).ok())
        return ~0ull;
    from.receive(header.body_size);
    return header.next_idx;
}

/// A header under a good checksum, with any body size.
inline std::vector<byte> sealed_header(int32 body_size) {
    const ptr<buffer> frame = heartbeat_frame(1);
    std::vector<byte> bytes(frame->data_begin(), frame->data_begin() + request_header_size);
    store_little_endian(bytes.data() + 42, body_size);
    store_little_endian(bytes.data() + 46, crc32(bytes.data(), request_header_crc_span));
    return bytes;
}

}  // namespace transport
}  // namespace nuraft
