#pragma once

#include <string>

#include "msg_type.hxx"
#include "transport/byte_cursor.hxx"
#include "transport/wire_format.hxx"

/// What requests and responses have in common.
namespace nuraft {
namespace transport {

/// Bytes of the metadata section; none is written for empty metadata.
size_t metadata_section_size(const std::string& metadata);
void put_metadata(byte_writer& to, const std::string& metadata);
verdict get_metadata(byte_reader& from, std::string& out);

/// A type number as it came, made a type if it is one.
verdict check_type(byte number, msg_type& out);
/// A body size as it came; a negative one reads as a huge one.
verdict check_body_size(uint32_t announced, size_t& out);
/// Are all the flags known?
verdict check_flags(uint32_t flags);
/// Is `body_size` small enough to be sent?
verdict check_sendable(const char* frame, size_t body_size);
/// Were as many body bytes given as the header announced?
verdict check_complete(size_t announced, size_t given);

}  // namespace transport
}  // namespace nuraft
