#pragma once

#include <string>

#include "buffer.hxx"
#include "msg_type.hxx"
#include "resp_msg.hxx"
#include "transport/wire_format.hxx"

/// Responses: bytes to values and back, under the same rules as requests.
namespace nuraft {
namespace transport {

/// The fixed part of a response.
struct response_header {
    msg_type type = msg_type::other_response;
    int32 src = 0;
    int32 dst = 0;
    ulong term = 0;
    ulong next_idx = 0;
    bool accepted = false;
    size_t body_size = 0;  ///< 0..`max_body_size`
    uint32_t flags = 0;    ///< As received.
};

/// A response with the metadata that its sender's hook attached (empty if none).
struct decoded_response {
    ptr<resp_msg> msg;
    std::string metadata;
};

/// Does an answer to this type of request carry a result code? Client, add-server and
/// remove-server requests only.
bool answer_has_result_code(msg_type request_type);

/// Writes header and body into one new buffer. The only fault is `body_size`; `out` is then left
/// alone. A context without bytes is not told apart from none.
verdict encode_response(const resp_msg& resp, msg_type request_type, const std::string& metadata,
                        ptr<buffer>& out);

/// Reads `response_header_size` bytes: checksum, type, body size, flags. The marker is not looked
/// at.
verdict parse_response_header(const byte* bytes, response_header& out);

/// Reads the body that belongs to a header that passed.
verdict decode_response(const response_header& header, const byte* body, size_t body_size,
                        decoded_response& out);

}  // namespace transport
}  // namespace nuraft
