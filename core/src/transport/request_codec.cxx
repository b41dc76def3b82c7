#include "transport/request_codec.hxx"

#include "base/crc32.hxx"
#include "log_entry.hxx"
#include "transport/frame_parts.hxx"

namespace nuraft {
namespace transport {

namespace {

constexpr size_t timestamp_size = 8;
constexpr size_t payload_crc_size = 5;  // presence mark and value

/// Bytes of a log entry before its payload.
size_t entry_fixed_size(uint32_t flags) {
    return 8 + 1 + 4 + (flags & flag::log_timestamps ? timestamp_size : 0) +
           (flags & flag::payload_crc ? payload_crc_size : 0);
}

size_t payload_size(const log_entry& entry) {
    return entry.is_buf_null() ? 0 : entry.get_buf().size();
}

uint32_t flags_of(const req_msg& req, const std::string& metadata, const request_format& format) {
    return (metadata.empty() ? 0 : flag::metadata) |
           (format.log_timestamps ? flag::log_timestamps : 0) |
           (format.whole_message_crc ? flag::whole_message_crc : 0) |
           (format.payload_crc ? flag::payload_crc : 0) |
           (req.get_extra_flags() & req_msg::EXCLUDED_FROM_THE_QUORUM ? flag::mark_down : 0);
}

size_t measure_body(req_msg& req, const std::string& metadata, uint32_t flags) {
    size_t size = metadata_section_size(metadata);
    for (const ptr<log_entry>& entry : req.log_entries())
        size += entry_fixed_size(flags) + payload_size(*entry);
    return size;
}

void put_entry(byte_writer& to, const log_entry& entry, uint32_t flags) {
    to.put(entry.get_term());
    to.put(static_cast<byte>(entry.get_val_type()));
    if (flags & flag::log_timestamps) to.put(entry.get_timestamp());
    if (flags & flag::payload_crc) {
        to.put(static_cast<byte>(entry.has_crc32()));
        to.put(entry.has_crc32() ? entry.get_crc32() : 0u);
    }
    const size_t size = payload_size(entry);
    to.put(static_cast<int32>(size));
    if (size > 0) to.put_bytes(entry.get_buf().data_begin(), size);
}

verdict get_entry(byte_reader& from, uint32_t flags, size_t number, ptr<log_entry>& out) {
    const auto name = [&] { return "log entry " + std::to_string(number); };
    if (from.left() < entry_fixed_size(flags))
        return {fault::entry_header, name() + " has " + std::to_string(from.left()) +
                                         " bytes left for a fixed part of " +
                                         std::to_string(entry_fixed_size(flags))};
    const ulong term = from.get<ulong>();
    const auto type = static_cast<log_val_type>(from.get<byte>());
    const uint64_t timestamp = flags & flag::log_timestamps ? from.get<uint64_t>() : 0;
    bool has_crc = false;
    uint32_t crc = 0;
    if (flags & flag::payload_crc) {
        has_crc = from.get<byte>() != 0;
        crc = from.get<uint32_t>();
    }
    // A negative length reads as a huge one and fails the same test.
    const uint32_t size = from.get<uint32_t>();
    if (size > from.left())
        return {fault::entry_length, name() + " announces " + std::to_string(size) + " bytes, " +
                                         std::to_string(from.left()) + " are left"};
    const byte* payload = from.take(size);
    if (has_crc && crc32(payload, size) != crc)
        return {fault::entry_crc, "the payload of " + name() + " does not match its checksum"};
    ptr<buffer> copy = buffer::alloc(size);
    byte_writer(copy->data_begin()).put_bytes(payload, size);
    out = cs_new<log_entry>(term, copy, type, timestamp, has_crc, has_crc ? crc : 0, false);
    return {};
}

}  // namespace

verdict encode_request(req_msg& req, const std::string& metadata, const request_format& format,
                       ptr<buffer>& out) {
    const uint32_t flags = flags_of(req, metadata, format);
    const size_t body_size = measure_body(req, metadata, flags);
    verdict v = check_sendable("a request", body_size);
    if (!v.ok()) return v;

    ptr<buffer> frame = buffer::alloc(request_header_size + body_size);
    byte* const begin = frame->data_begin();
    byte_writer to(begin + request_header_size);
    put_metadata(to, metadata);
    for (const ptr<log_entry>& entry : req.log_entries()) put_entry(to, *entry, flags);

    byte_writer header(begin);
    header.put(request_marker);
    header.put(static_cast<byte>(req.get_type()));
    header.put(req.get_src());
    header.put(req.get_dst());
    header.put(req.get_term());
    header.put(req.get_last_log_term());
    header.put(req.get_last_log_idx());
    header.put(req.get_commit_idx());
    header.put(static_cast<int32>(body_size));
    uint32_t crc = crc32(begin, request_header_crc_span);
    if (flags & flag::whole_message_crc) crc = crc32(begin + request_header_size, body_size, crc);
    header.put(crc);
    header.put(flags);
    out = std::move(frame);
    return {};
}

verdict parse_request_header(const byte* bytes, request_header& out) {
    byte_reader from(bytes, request_header_size);
    const byte marker = from.get<byte>();
    const byte type = from.get<byte>();
    out.src = from.get<int32>();
    out.dst = from.get<int32>();
    out.term = from.get<ulong>();
    out.last_log_term = from.get<ulong>();
    out.last_log_idx = from.get<ulong>();
    out.commit_idx = from.get<ulong>();
    const uint32_t body_size = from.get<uint32_t>();
    out.crc = from.get<uint32_t>();
    out.flags = from.get<uint32_t>();
    out.span_crc = crc32(bytes, request_header_crc_span);

    if (!(out.flags & flag::whole_message_crc) && out.crc != out.span_crc)
        return {fault::header_crc, "the request header does not match its checksum"};
    if (marker != request_marker)
        return {fault::marker, "a request starts with 0, this one with " + std::to_string(marker)};
    verdict v = check_type(type, out.type);
    if (v.ok()) v = check_body_size(body_size, out.body_size);
    return v.ok() ? check_flags(out.flags) : v;
}

verdict decode_request(const request_header& header, const byte* body, size_t body_size,
                       decoded_request& out) {
    verdict v = check_complete(header.body_size, body_size);
    if (!v.ok()) return v;
    if (header.flags & flag::whole_message_crc &&
        crc32(body, body_size, header.span_crc) != header.crc)
        return {fault::message_crc, "header and body do not match their checksum"};

    auto msg = cs_new<req_msg>(header.term, header.type, header.src, header.dst,
                               header.last_log_term, header.last_log_idx, header.commit_idx);
    if (header.flags & flag::mark_down) msg->set_extra_flags(req_msg::EXCLUDED_FROM_THE_QUORUM);

    std::string metadata;
    byte_reader from(body, body_size);
    if (header.flags & flag::metadata && body_size > 0) {
        v = get_metadata(from, metadata);
        if (!v.ok()) return v;
    }
    while (from.left() > 0) {
        ptr<log_entry> entry;
        v = get_entry(from, header.flags, msg->log_entries().size() + 1, entry);
        if (!v.ok()) return v;
        msg->log_entries().push_back(std::move(entry));
    }
    out.msg = std::move(msg);
    out.metadata = std::move(metadata);
    return {};
}

}  // namespace transport
}  // namespace nuraft
