#include <algorithm>

#include "buffer_serializer.hxx"
#include "frames.hxx"
#include "hostile_world.hxx"
#include "snapshot_sync_req.hxx"
#include "transport/request_codec.hxx"

// What the bytes can make happen to the server.

namespace fuzz {

using namespace nuraft;
namespace in = nuraft::protocol::inputs;

namespace {

constexpr size_t most_entries = 4;
constexpr size_t most_payload = 255;

ptr<buffer> to_buffer(const uint8_t* data, size_t size) {
    ptr<buffer> bytes = buffer::alloc(size);
    bytes->put_raw(data, size);
    bytes->pos(0);
    return bytes;
}

}  // namespace

void hostile_world::act() {
    using what = void (hostile_world::*)();
    static constexpr what kinds[] = {
        &hostile_world::receive_frame,    &hostile_world::receive_request,
        &hostile_world::receive_response, &hostile_world::lose_request,
        &hostile_world::let_timer_fire,   &hostile_world::propose,
        &hostile_world::store_log,        &hostile_world::sync_log,
        &hostile_world::finish_saving,    &hostile_world::finish_reading,
        &hostile_world::finish_pack,      &hostile_world::create_snapshot,
        &hostile_world::administer,       &hostile_world::restart,
    };
    (this->*kinds[choices_.below(sizeof kinds / sizeof kinds[0])])();
}

/// Any request that the decoder lets through, as its bytes are.
void hostile_world::receive_frame() {
    using namespace transport;
    size_t body_size = choices_.byte();
    size_t header_size = request_header_size;
    const uint8_t* bytes = choices_.bytes(header_size);
    if (header_size < request_header_size) return;
    const uint8_t* body = choices_.bytes(body_size);
    request_header header;
    const verdict v = parse_request_header(
        sealed<request_header_size, request_header_crc_span>(bytes).data(), header);
    if (v.what == fault::marker || v.what == fault::type) return;
    header.body_size = body_size;
    header.crc = crc32(body, body_size, header.span_crc);
    decoded_request request;
    if (decode_request(header, body, body_size, request).ok()) receive(request.msg);
}

/// A request that is nearly right.
void hostile_world::receive_request() {
    static constexpr msg_type types[] = {
        request_vote_request,   append_entries_request,      install_snapshot_request,
        pre_vote_request,       join_cluster_request,        sync_log_request,
        leave_cluster_request,  priority_change_request,     reconnect_request,
        ping_request,           custom_notification_request, append_entries_request,
        append_entries_request, append_entries_request,      install_snapshot_request,
        request_vote_request,
    };
    const msg_type type = types[choices_.below(sizeof types / sizeof types[0])];
    const int32_t from = static_cast<int32_t>(choices_.below(5));
    const uint64_t term = choices_.near(node_->term());
    const uint64_t index = choices_.near(node_->last_log_index());
    const uint64_t index_term = choices_.bit() ? disk_.term_at(index) : choices_.near(term);
    auto msg = cs_new<req_msg>(term, type, from, node_->id(), index_term, index,
                               choices_.near(node_->last_log_index()));
    if (type == install_snapshot_request) {
        msg->log_entries().push_back(cs_new<log_entry>(
            term, draw_snapshot_object(index, index_term), log_val_type::snp_sync_req));
    } else if (type == custom_notification_request) {
        msg->log_entries().push_back(
            cs_new<log_entry>(0, draw_notification(), log_val_type::custom));
    } else {
        for (size_t n = choices_.below(most_entries + 1); n > 0; --n)
            msg->log_entries().push_back(draw_entry(term));
    }
    receive(msg);
}

void hostile_world::receive(const ptr<req_msg>& msg) {
    in::request request;
    request.number = ++next_number_;
    request.msg = msg;
    request.declined = choices_.byte() == 0xff;
    node_->would_accept(*msg, now_);
    node_->would_store(*msg);
    unanswered_.insert(request.number);
    step(request);
}

void hostile_world::receive_response() {
    if (sent_.empty()) return;
    const auto at = sent_.begin() + static_cast<std::ptrdiff_t>(choices_.below(sent_.size()));
    const protocol::outgoing request = *at;
    sent_.erase(at);
    const uint8_t kind = choices_.byte();
    const auto type =
        static_cast<msg_type>(kind & 1 ? 1 + choices_.below(29) : request.msg->get_type() + 1);
    const int32_t from = kind & 2 ? static_cast<int32_t>(choices_.below(5)) : request.peer;
    req_msg& asked = *request.msg;
    const uint64_t all = asked.get_last_log_idx() + asked.log_entries().size() + 1;
    const uint64_t term = choices_.near(asked.get_term());
    auto resp =
        cs_new<resp_msg>(term, type, from, node_->id(), choices_.near(all), (kind & 4) == 0);
    if (kind & 8) resp->set_ctx(draw_context());
    if (kind & 16) resp->set_next_batch_size_hint_in_bytes(static_cast<int64>(choices_.near(0)));
    step(in::response{request.number, resp});
}

void hostile_world::lose_request() {
    if (sent_.empty()) return;
    const auto at = sent_.begin() + static_cast<std::ptrdiff_t>(choices_.below(sent_.size()));
    const uint64_t number = at->number;
    sent_.erase(at);
    step(in::send_failed{number, choices_.bit()});
}

void hostile_world::let_timer_fire() {
    now_ += 5 * choices_.byte();
    static constexpr protocol::timer_kind kinds[] = {protocol::timer_kind::election,
                                                     protocol::timer_kind::heartbeat,
                                                     protocol::timer_kind::retry};
    const protocol::timer_kind kind = kinds[choices_.below(3)];
    const bool beats = kind == protocol::timer_kind::heartbeat;
    step(in::timer_fired{kind, beats ? static_cast<int32_t>(choices_.below(5)) : -1});
}

void hostile_world::propose() {
    in::proposal p;
    p.number = ++next_number_;
    for (size_t n = choices_.below(most_entries); n > 0; --n)
        p.entries.push_back(cs_new<log_entry>(0, draw_payload()));
    step(p);
    step(in::replicate{});
}

void hostile_world::store_log() {
    if (disk_.has_queued()) step(in::log_stored{disk_.store_next()});
}

void hostile_world::sync_log() {
    disk_.sync(choices_.byte());
    step(in::log_durable{disk_.durable_index(), disk_.last_stored_write()});
}

void hostile_world::finish_saving() {
    if (saves_.empty()) return;
    const protocol::save_object s = saves_.front();
    saves_.pop_front();
    const uint64_t next = choices_.near(s.object->get_offset() + 1);
    const bool ok = !choices_.bit();
    const bool installed = ok && s.object->is_done();
    if (installed) {
        store_everything();
        const ptr<snapshot> meta = snapshot::deserialize(*s.object->get_snapshot().serialize());
        disk_.add_snapshot({meta, {meta->get_last_log_idx(), 0}});
        disk_.install(meta->get_last_log_idx(), s.discard_log);
    }
    step(in::object_saved{s.request, ok, next, installed});
}

void hostile_world::finish_reading() {
    if (reads_.empty()) return;
    const protocol::read_object r = reads_.front();
    reads_.pop_front();
    const bool readable = !choices_.bit();
    step(
        in::object_read{r.transfer, r.object, readable ? draw_payload() : nullptr, choices_.bit()});
}

void hostile_world::finish_pack() {
    if (packs_.empty()) return;
    const protocol::install_pack p = packs_.front();
    packs_.pop_front();
    store_everything();
    bool ok = false;
    try {
        ok = disk_.install_pack(p.first, *p.pack);
    } catch (const std::exception&) {
        // Hostile bytes; the store refuses them.
    }
    step(in::pack_installed{p.request, ok});
}

void hostile_world::create_snapshot() {
    const uint64_t index = std::min(node_->commit_index(), disk_.durable_index());
    const ptr<cluster_config> config = node_->config_at(index);
    if (index <= disk_.snapshot_index() || disk_.term_at(index) == 0 || !config) return;
    const auto meta = cs_new<snapshot>(index, disk_.term_at(index), config);
    disk_.add_snapshot({meta, {index, 0}});
    step(in::snapshot_created{meta});
    disk_.compact(std::min(index, choices_.near(index)));
}

void hostile_world::administer() {
    const int32_t id = 1 + static_cast<int32_t>(choices_.below(4));
    const uint64_t number = ++next_number_;
    const bool flag = choices_.bit();
    switch (choices_.below(9)) {
        case 0:
            return step(in::add_server{number, cs_new<srv_config>(id, "fuzz")});
        case 1:
            return step(in::remove_server{number, id});
        case 2:
            return step(in::set_priority{number, id, static_cast<int32_t>(choices_.byte()), flag,
                                         choices_.bit()});
        case 3:
            return step(in::set_learner{number, id, flag});
        case 4:
            return step(in::yield{flag, id});
        case 5:
            return step(in::request_leadership{});
        case 6:
            return step(in::request_reconnect{});
        case 7:
            return step(in::log_failed{});
        default:
            return step(in::restart_election_timer{});
    }
}

ptr<buffer> hostile_world::draw_payload() {
    size_t size = choices_.below(most_payload + 1);
    const uint8_t* bytes = choices_.bytes(size);
    return to_buffer(bytes, size);
}

ptr<cluster_config> hostile_world::draw_config() {
    auto config = cs_new<cluster_config>(choices_.near(node_->last_log_index() + 1));
    const uint8_t members = choices_.byte();
    for (int32_t id = 1; id <= 4; ++id) {
        if (!(members >> id & 1)) continue;
        auto server = cs_new<srv_config>(id, "fuzz:" + std::to_string(id));
        server->set_learner(members >> 5 & 1 && id == 1);
        server->set_new_joiner(members >> 6 & 1 && id == 3);
        server->set_priority(members >> 7 & 1 ? static_cast<int32_t>(choices_.byte()) : 1);
        config->get_servers().push_back(server);
    }
    return config;
}

ptr<log_entry> hostile_world::draw_entry(uint64_t term) {
    const uint64_t entry_term = choices_.bit() ? choices_.near(term) : term;
    switch (choices_.below(4)) {
        case 0:
            return cs_new<log_entry>(entry_term, draw_config()->serialize(), log_val_type::conf);
        case 1:
            return cs_new<log_entry>(entry_term, draw_payload(),
                                     static_cast<log_val_type>(choices_.byte()));
        case 2:
            return cs_new<log_entry>(entry_term, nullptr);
        default:
            return cs_new<log_entry>(entry_term, to_buffer(nullptr, 0));
    }
}

/// Of a response: the end of a snapshot, an appendix, or anything.
ptr<buffer> hostile_world::draw_context() {
    const uint8_t appendix[] = {0, static_cast<uint8_t>(choices_.below(4))};
    return choices_.bit() ? to_buffer(appendix, sizeof appendix) : draw_payload();
}

ptr<buffer> hostile_world::draw_notification() {
    ptr<buffer> body = draw_payload();
    ptr<buffer> packed = buffer::alloc(6 + body->size());
    buffer_serializer bs(packed);
    bs.put_u8(0);
    bs.put_u8(static_cast<uint8_t>(choices_.below(4)));
    bs.put_u32(choices_.bit() ? static_cast<uint32_t>(choices_.near(0))
                              : static_cast<uint32_t>(body->size()));
    bs.put_buffer(*body);
    return packed;
}

ptr<buffer> hostile_world::draw_snapshot_object(uint64_t index, uint64_t term) {
    if (choices_.byte() == 0xff) return draw_payload();
    const auto meta = cs_new<snapshot>(index, term, draw_config());
    const uint64_t offset = choices_.near(0);
    const bool done = choices_.bit();
    return snapshot_sync_req(meta, offset, draw_payload(), done).serialize();
}

void protocol_steps(const uint8_t* data, size_t size) {
    byte_source choices(data, size);
    hostile_world(choices).run();
}

}  // namespace fuzz
