#include <cstring>

#include "frames.hxx"
#include "log_entry.hxx"
#include "transport/request_codec.hxx"

namespace fuzz {

using namespace nuraft;
using namespace nuraft::transport;

namespace {

constexpr uint32_t format_flags =
    flag::log_timestamps | flag::whole_message_crc | flag::payload_crc;

request_format format_of(uint32_t flags) {
    return {(flags & flag::log_timestamps) != 0, (flags & flag::whole_message_crc) != 0,
            (flags & flag::payload_crc) != 0};
}

bool same_payload(const log_entry& a, const log_entry& b) {
    return a.get_buf().size() == b.get_buf().size() &&
           std::equal(a.get_buf().data_begin(), a.get_buf().data_begin() + a.get_buf().size(),
                      b.get_buf().data_begin());
}

void require_same(decoded_request& a, decoded_request& b) {
    req_msg& x = *a.msg;
    req_msg& y = *b.msg;
    require(a.metadata == b.metadata && x.get_type() == y.get_type() &&
                x.get_src() == y.get_src() && x.get_dst() == y.get_dst() &&
                x.get_term() == y.get_term() && x.get_last_log_term() == y.get_last_log_term() &&
                x.get_last_log_idx() == y.get_last_log_idx() &&
                x.get_commit_idx() == y.get_commit_idx() &&
                x.get_extra_flags() == y.get_extra_flags(),
            "a request changes on its way");
    require(x.log_entries().size() == y.log_entries().size(), "entries are lost on the way");
    for (size_t i = 0; i < x.log_entries().size(); ++i) {
        const log_entry& p = *x.log_entries()[i];
        const log_entry& q = *y.log_entries()[i];
        require(p.get_term() == q.get_term() && p.get_val_type() == q.get_val_type() &&
                    p.get_timestamp() == q.get_timestamp() && p.has_crc32() == q.has_crc32() &&
                    p.get_crc32() == q.get_crc32() && same_payload(p, q),
                "entry ", i, " changes on its way");
    }
}

/// A body without an empty metadata section, and with presence marks and checksums of payloads as
/// we write them, has one form only.
void require_same_bytes(const frame_body& body, const buffer& frame, size_t entries,
                        uint32_t flags) {
    if (frame.size() - request_header_size != body.size()) {
        require(flags & flag::metadata, "the body's size changes from ", body.size(), " to ",
                frame.size() - request_header_size);
        return;
    }
    size_t differences = 0;
    for (size_t i = 0; i < body.size(); ++i) {
        differences += body.data()[i] != frame.data_begin()[request_header_size + i];
    }
    require(differences <= (flags & flag::payload_crc ? 5 * entries : 0), differences,
            " bytes of a body change");
}

void check_accepted(decoded_request& request, uint32_t flags, const frame_body& body) {
    ptr<buffer> frame;
    require(encode_request(*request.msg, request.metadata, format_of(flags), frame).ok(),
            "an accepted request is not encoded");
    request_header header;
    require(parse_request_header(frame->data_begin(), header).ok(), "our own header is refused");
    decoded_request again;
    require(decode_request(header, frame->data_begin() + request_header_size,
                           frame->size() - request_header_size, again)
                .ok(),
            "our own request is refused");
    require_same(request, again);
    require_same_bytes(body, *frame, request.msg->log_entries().size(), flags);
}

/// False: the connection would end here.
bool read_one(stream& from, frame_body& body) {
    if (from.left() < request_header_size) return false;
    const uint8_t* bytes = from.take(request_header_size);
    request_header header;
    verdict v = parse_request_header(bytes, header);
    if (v.what == fault::header_crc) {
        v = parse_request_header(sealed<request_header_size, request_header_crc_span>(bytes).data(),
                                 header);
    }
    require(v.ok() == v.reason.empty(), "a fault without a reason");
    if (!v.ok() || !from.read(body, header.body_size)) return false;

    decoded_request request;
    v = decode_request(header, body.data(), body.size(), request);
    if (v.what == fault::message_crc) {
        header.crc = crc32(body.data(), body.size(), header.span_crc);
        v = decode_request(header, body.data(), body.size(), request);
    }
    require(v.ok() == v.reason.empty(), "a fault without a reason");
    require(v.ok() == (request.msg != nullptr), "a message from a bad frame");
    if (!v.ok()) return false;
    check_accepted(request, header.flags & (format_flags | flag::metadata), body);
    return true;
}

}  // namespace

void request_frames(const uint8_t* data, size_t size) {
    stream connection(data, size);
    frame_body body;
    while (read_one(connection, body)) {
    }
}

}  // namespace fuzz
