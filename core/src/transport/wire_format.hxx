#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "basic_types.hxx"

/// The layout of frames between members. Every integer is little-endian. A
/// frame is a header of fixed size and a body whose size the header gives.
namespace nuraft {
namespace transport {

/// Bytes of a request's header, and how many of them the header's checksum covers.
constexpr size_t request_header_size = 54;
constexpr size_t request_header_crc_span = 46;
/// Bytes of a response's header, and how many of them the header's checksum covers.
constexpr size_t response_header_size = 39;
constexpr size_t response_header_crc_span = 31;

/// First byte of a header.
constexpr byte request_marker = 0;
constexpr byte response_marker = 1;

/// Largest body, in bytes, that is sent or accepted: 1 GiB.
constexpr size_t max_body_size = 0x40000000;

/// Bits of the flags word; the same numbers in both directions. One of the other direction means
/// nothing. A bit that nobody knows ends the connection: it may well change the layout, as those
/// did that were added over time, and no checksum covers it.
namespace flag {
constexpr uint32_t metadata = 0x01;           ///< The body starts with metadata.
constexpr uint32_t hint = 0x02;               ///< Response: a batch size hint follows.
constexpr uint32_t log_timestamps = 0x04;     ///< Request: each entry carries its timestamp.
constexpr uint32_t whole_message_crc = 0x08;  ///< Request: the checksum covers the body as well.
constexpr uint32_t payload_crc = 0x10;        ///< Request: each entry carries its payload's CRC.
constexpr uint32_t result_code = 0x20;        ///< Response: the body ends with a result code.
/// Request: the receiver is excluded from the quorum. Response: the sender declares itself down.
constexpr uint32_t mark_down = 0x40;
constexpr uint32_t all = 0x7f;
}  // namespace flag

/// What is wrong with a frame.
enum class fault {
    none,
    header_crc,      ///< The header does not match its checksum.
    marker,          ///< A request does not start with 0.
    type,            ///< No such message type.
    body_size,       ///< Negative or above `max_body_size`.
    flags,           ///< A flag that nobody knows.
    message_crc,     ///< Header and body do not match their common checksum.
    metadata,        ///< The metadata does not fit into the body.
    entry_header,    ///< The rest of the body is too short for a log entry.
    entry_length,    ///< A log entry's payload does not fit into the body.
    entry_crc,       ///< A log entry's payload does not match its checksum.
    hint,            ///< The batch size hint does not fit or has an unknown form.
    result_code,     ///< The body is too short for its result code.
    body_truncated,  ///< Fewer or more body bytes than the header announced.
};

/// Outcome of reading or writing a frame: fine, or a fault with a sentence for the log.
struct verdict {
    fault what = fault::none;
    std::string reason;

    verdict() = default;
    verdict(fault f, std::string why) : what(f), reason(std::move(why)) {}
    bool ok() const { return what == fault::none; }
};

}  // namespace transport
}  // namespace nuraft
