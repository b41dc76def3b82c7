#include <algorithm>
#include <utility>

#include "stage.hxx"
#include "transport/request_codec.hxx"
#include "transport/response_codec.hxx"

// Messages between the servers of a stage.

namespace scenarios {

using namespace nuraft;
namespace in = nuraft::protocol::inputs;

namespace {

/// What the other side gets: the message as its frame tells it.
ptr<req_msg> transmitted(req_msg& msg) {
    using namespace transport;
    ptr<buffer> frame;
    encode_request(msg, "", request_format(), frame);
    request_header header;
    parse_request_header(frame->data_begin(), header);
    decoded_request got;
    decode_request(header, frame->data_begin() + request_header_size,
                   frame->size() - request_header_size, got);
    return got.msg;
}

ptr<resp_msg> transmitted(const resp_msg& msg) {
    using namespace transport;
    ptr<buffer> frame;
    encode_response(msg, msg_type::append_entries_request, "", frame);
    response_header header;
    parse_response_header(frame->data_begin(), header);
    decoded_response got;
    decode_response(header, frame->data_begin() + response_header_size,
                    frame->size() - response_header_size, got);
    return got.msg;
}

}  // namespace

void stage::deliver(const route& which, int32_t limit) {
    auto wanted = [&](const flight& f) {
        return !is_cut(f.from, f.to) && (!which.from || *which.from == f.from) &&
               (!which.to || *which.to == f.to);
    };
    for (int32_t delivered = 0; delivered < limit; ++delivered) {
        auto next = std::find_if(under_way_.begin(), under_way_.end(), wanted);
        if (next == under_way_.end()) return;
        const flight f = *next;
        under_way_.erase(next);
        arrive(f);
    }
}

void stage::arrive(const flight& f) {
    auto to = actors_.find(f.to);
    if (f.request) {
        if (to == actors_.end() || !to->second.node) return fail_request(f.from, f.number, f.life);
        in::request i;
        i.number = next_number();
        i.msg = transmitted(*f.request);
        asked_[{f.to, i.number}] = {f.from, f.number, f.life};
        return step(to->second, i);
    }
    if (!to->second.node || to->second.life != f.life) return;
    waiting_.erase({f.to, f.number});
    step(to->second, in::response{f.number, transmitted(std::as_const(*f.answer))});
}

void stage::fail_request(id client, uint64_t number, uint64_t life) {
    if (waiting_.erase({client, number}) == 0) return;
    actor& a = at(client);
    if (a.node && a.life == life) step(a, in::send_failed{number, false});
}

void stage::cut(id one, id other) {
    cuts_.insert({one, other});
    cuts_.insert({other, one});
}

void stage::break_connection(id client, id server) {
    running(client);
    auto on_it = [&](const flight& f) {
        return f.request ? f.from == client && f.to == server : f.from == server && f.to == client;
    };
    under_way_.erase(std::remove_if(under_way_.begin(), under_way_.end(), on_it), under_way_.end());
    for (const auto& [id_and_number, other] : std::map(waiting_)) {
        if (id_and_number.first == client && other == server)
            fail_request(client, id_and_number.second, at(client).life);
    }
}

}  // namespace scenarios
