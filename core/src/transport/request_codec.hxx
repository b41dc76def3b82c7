#pragma once

#include <string>

#include "buffer.hxx"
#include "msg_type.hxx"
#include "req_msg.hxx"
#include "transport/wire_format.hxx"

/// Requests: bytes to values and back. No function throws on bad bytes, reads outside of what it
/// was given, or keeps a pointer into it.
namespace nuraft {
namespace transport {

/// What a sender adds to its requests. The reader needs none of it: flags say what is there.
struct request_format {
    bool log_timestamps = false;     ///< `replicate_log_timestamp_`
    bool whole_message_crc = false;  ///< `crc_on_entire_message_`
    bool payload_crc = false;        ///< `crc_on_payload_`
};

/// The fixed part of a request.
struct request_header {
    msg_type type = msg_type::other_request;
    int32 src = 0;
    int32 dst = 0;
    ulong term = 0;
    ulong last_log_term = 0;
    ulong last_log_idx = 0;
    ulong commit_idx = 0;
    size_t body_size = 0;   ///< 0..`max_body_size`
    uint32_t crc = 0;       ///< As received.
    uint32_t flags = 0;     ///< As received.
    uint32_t span_crc = 0;  ///< Computed over the part of the header that a checksum covers.
};

/// A request with the metadata that its sender's hook attached (empty if none).
struct decoded_request {
    ptr<req_msg> msg;
    std::string metadata;
};

/// Writes header and body into one new buffer. The only fault is `body_size`; `out` is then left
/// alone. Entries' payloads are copied whole, whatever their cursors.
verdict encode_request(req_msg& req, const std::string& metadata, const request_format& format,
                       ptr<buffer>& out);

/// Reads `request_header_size` bytes, with the checks that need no body: checksum (unless it covers
/// the body as well), marker, type, body size, flags, in this order.
verdict parse_request_header(const byte* bytes, request_header& out);

/// Reads the body that belongs to a header that passed.
verdict decode_request(const request_header& header, const byte* body, size_t body_size,
                       decoded_request& out);

}  // namespace transport
}  // namespace nuraft
