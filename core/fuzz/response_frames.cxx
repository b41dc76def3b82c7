#include <algorithm>

#include "frames.hxx"
#include "transport/response_codec.hxx"

namespace fuzz {

using namespace nuraft;
using namespace nuraft::transport;

namespace {

bool same_context(const resp_msg& a, const resp_msg& b) {
    const ptr<buffer> p = a.get_ctx();
    const ptr<buffer> q = b.get_ctx();
    if (!p || !q) return !p && !q;
    return p->size() == q->size() &&
           std::equal(p->data_begin(), p->data_begin() + p->size(), q->data_begin());
}

void require_same(const decoded_response& a, const decoded_response& b) {
    const resp_msg& x = *a.msg;
    const resp_msg& y = *b.msg;
    require(a.metadata == b.metadata && x.get_type() == y.get_type() &&
                x.get_src() == y.get_src() && x.get_dst() == y.get_dst() &&
                x.get_term() == y.get_term() && x.get_next_idx() == y.get_next_idx() &&
                x.get_accepted() == y.get_accepted() &&
                x.get_extra_flags() == y.get_extra_flags() &&
                x.get_next_batch_size_hint_in_bytes() == y.get_next_batch_size_hint_in_bytes() &&
                x.get_result_code() == y.get_result_code() && same_context(x, y),
            "a response changes on its way");
}

/// Only the hint's version may change: there is one form of everything else.
void require_same_bytes(const decoded_response& response, uint32_t flags, const frame_body& body,
                        const buffer& frame) {
    const bool empty_section =
        (flags & flag::metadata && response.metadata.empty()) ||
        (flags & flag::hint && response.msg->get_next_batch_size_hint_in_bytes() == 0);
    if (empty_section) return;
    require(frame.size() - response_header_size == body.size(), "the body's size changes");
    size_t differences = 0;
    for (size_t i = 0; i < body.size(); ++i) {
        differences += body.data()[i] != frame.data_begin()[response_header_size + i];
    }
    require(differences <= (flags & flag::hint ? 2 : 0), differences, " bytes of a body change");
}

void check_accepted(const decoded_response& response, uint32_t flags, const frame_body& body) {
    const msg_type request_type =
        flags & flag::result_code ? msg_type::client_request : msg_type::append_entries_request;
    ptr<buffer> frame;
    require(encode_response(*response.msg, request_type, response.metadata, frame).ok(),
            "an accepted response is not encoded");
    response_header header;
    require(parse_response_header(frame->data_begin(), header).ok(), "our own header is refused");
    decoded_response again;
    require(decode_response(header, frame->data_begin() + response_header_size,
                            frame->size() - response_header_size, again)
                .ok(),
            "our own response is refused");
    require_same(response, again);
    require_same_bytes(response, flags, body, *frame);
}

/// False: the connection would end here.
bool read_one(stream& from, frame_body& body) {
    if (from.left() < response_header_size) return false;
    const uint8_t* bytes = from.take(response_header_size);
    response_header header;
    verdict v = parse_response_header(bytes, header);
    if (v.what == fault::header_crc) {
        v = parse_response_header(
            sealed<response_header_size, response_header_crc_span>(bytes).data(), header);
    }
    require(v.ok() == v.reason.empty(), "a fault without a reason");
    if (!v.ok() || !from.read(body, header.body_size)) return false;

    decoded_response response;
    v = decode_response(header, body.data(), body.size(), response);
    require(v.ok() == v.reason.empty(), "a fault without a reason");
    require(v.ok() == (response.msg != nullptr), "a message from a bad frame");
    if (!v.ok()) return false;
    check_accepted(response, header.flags, body);
    return true;
}

}  // namespace

void response_frames(const uint8_t* data, size_t size) {
    stream connection(data, size);
    frame_body body;
    while (read_one(connection, body)) {
    }
}

}  // namespace fuzz
