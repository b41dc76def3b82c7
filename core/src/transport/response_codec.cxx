#include "transport/response_codec.hxx"

#include "base/crc32.hxx"
#include "transport/frame_parts.hxx"

namespace nuraft {
namespace transport {

namespace {

constexpr uint16_t hint_version = 0;
constexpr uint16_t hint_value_size = 8;
constexpr size_t hint_section_size = 4 + hint_value_size;
constexpr size_t result_code_size = 4;

uint32_t flags_of(const resp_msg& resp, msg_type request_type, const std::string& metadata) {
    return (metadata.empty() ? 0 : flag::metadata) |
           (resp.get_next_batch_size_hint_in_bytes() != 0 ? flag::hint : 0) |
           (answer_has_result_code(request_type) ? flag::result_code : 0) |
           (resp.get_extra_flags() & resp_msg::SELF_MARK_DOWN ? flag::mark_down : 0);
}

/// Hint, context and result code: what follows the metadata.
verdict get_sections(byte_reader& from, uint32_t flags, resp_msg& out) {
    if (flags & flag::hint) {
        if (from.left() < hint_section_size)
            return {fault::hint, "no room for the batch size hint: " + std::to_string(from.left()) +
                                     " bytes left"};
        from.take(2);  // Later versions may only add flags, not change this section.
        const uint16_t size = from.get<uint16_t>();
        if (size != hint_value_size)
            return {fault::hint,
                    "a batch size hint has 8 bytes, this one announces " + std::to_string(size)};
        out.set_next_batch_size_hint_in_bytes(from.get<int64>());
    }
    const size_t tail = flags & flag::result_code ? result_code_size : 0;
    if (from.left() < tail)
        return {fault::result_code,
                "no room for the result code: " + std::to_string(from.left()) + " bytes left"};
    if (const size_t size = from.left() - tail) {
        ptr<buffer> ctx = buffer::alloc(size);
        byte_writer(ctx->data_begin()).put_bytes(from.take(size), size);
        out.set_ctx(ctx);
    }
    if (tail > 0) out.set_result_code(static_cast<cmd_result_code>(from.get<int32>()));
    return {};
}

}  // namespace

bool answer_has_result_code(msg_type request_type) {
    return request_type == msg_type::client_request ||
           request_type == msg_type::add_server_request ||
           request_type == msg_type::remove_server_request;
}

verdict encode_response(const resp_msg& resp, msg_type request_type, const std::string& metadata,
                        ptr<buffer>& out) {
    const uint32_t flags = flags_of(resp, request_type, metadata);
    const ptr<buffer> ctx = resp.get_ctx();
    const size_t ctx_size = ctx ? ctx->size() : 0;
    const size_t body_size = metadata_section_size(metadata) +
                             (flags & flag::hint ? hint_section_size : 0) + ctx_size +
                             (flags & flag::result_code ? result_code_size : 0);
    verdict v = check_sendable("a response", body_size);
    if (!v.ok()) return v;

    ptr<buffer> frame = buffer::alloc(response_header_size + body_size);
    byte_writer to(frame->data_begin());
    to.put(response_marker);
    to.put(static_cast<byte>(resp.get_type()));
    to.put(resp.get_src());
    to.put(resp.get_dst());
    to.put(resp.get_term());
    to.put(resp.get_next_idx());
    to.put(static_cast<byte>(resp.get_accepted()));
    to.put(static_cast<int32>(body_size));
    to.put(crc32(frame->data_begin(), response_header_crc_span));
    to.put(flags);

    put_metadata(to, metadata);
    if (flags & flag::hint) {
        to.put(hint_version);
        to.put(hint_value_size);
        to.put(resp.get_next_batch_size_hint_in_bytes());
    }
    if (ctx_size > 0) to.put_bytes(ctx->data_begin(), ctx_size);
    if (flags & flag::result_code) to.put(static_cast<int32>(resp.get_result_code()));
    out = std::move(frame);
    return {};
}

verdict parse_response_header(const byte* bytes, response_header& out) {
    byte_reader from(bytes, response_header_size);
    from.take(1);
    const byte type = from.get<byte>();
    out.src = from.get<int32>();
    out.dst = from.get<int32>();
    out.term = from.get<ulong>();
    out.next_idx = from.get<ulong>();
    out.accepted = from.get<byte>() == 1;
    const uint32_t body_size = from.get<uint32_t>();
    const uint32_t crc = from.get<uint32_t>();
    out.flags = from.get<uint32_t>();

    if (crc32(bytes, response_header_crc_span) != crc)
        return {fault::header_crc, "the response header does not match its checksum"};
    verdict v = check_type(type, out.type);
    if (v.ok()) v = check_body_size(body_size, out.body_size);
    return v.ok() ? check_flags(out.flags) : v;
}

verdict decode_response(const response_header& header, const byte* body, size_t body_size,
                        decoded_response& out) {
    verdict v = check_complete(header.body_size, body_size);
    if (!v.ok()) return v;
    auto msg = cs_new<resp_msg>(header.term, header.type, header.src, header.dst, header.next_idx,
                                header.accepted);
    if (header.flags & flag::mark_down) msg->set_extra_flags(resp_msg::SELF_MARK_DOWN);

    std::string metadata;
    byte_reader from(body, body_size);
    if (header.flags & flag::metadata) {
        v = get_metadata(from, metadata);
        if (!v.ok()) return v;
    }
    v = get_sections(from, header.flags, *msg);
    if (!v.ok()) return v;
    out.msg = std::move(msg);
    out.metadata = std::move(metadata);
    return {};
}

}  // namespace transport
}  // namespace nuraft
