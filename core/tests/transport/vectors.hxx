#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "log_val_type.hxx"
#include "msg_type.hxx"
#include "transport/wire_format.hxx"

/// One message of every kind and form: what is sent, and its bytes on the wire.
namespace nuraft {
namespace transport {

struct entry_value {
    ulong term;
    log_val_type type;
    std::string payload_hex;
    uint64_t timestamp = 0;
    bool has_crc = false;
    uint32_t crc = 0;
};

struct request_vector {
    std::string name;
    std::string hex;
    msg_type type;
    int32 src, dst;
    ulong term, last_log_term, last_log_idx, commit_idx;
    uint32_t flags;
    std::string metadata;
    std::vector<entry_value> entries;
};

struct response_vector {
    std::string name;
    std::string hex;
    msg_type type;
    msg_type request_type;
    int32 src, dst;
    ulong term, next_idx;
    bool accepted;
    uint32_t flags;
    std::string metadata;
    int64 hint;
    std::string context_hex;
    int32 result_code;
};

// How a failing test prints its parameter.
inline void PrintTo(const request_vector& v, std::ostream* out) {
    *out << v.name;
}
inline void PrintTo(const response_vector& v, std::ostream* out) {
    *out << v.name;
}

std::vector<request_vector> request_vectors();
std::vector<response_vector> response_vectors();

std::string to_hex(const void* bytes, size_t size);
std::vector<byte> from_hex(const std::string& hex);

}  // namespace transport
}  // namespace nuraft
