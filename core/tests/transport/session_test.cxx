// The listener and its sessions against a peer that the test plays itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/bytes.hxx"
#include "base/crc32.hxx"
#include "transport/answer_queue.hxx"
#include "transport/doubles.hxx"
#include "transport/raw_frames.hxx"
#include "transport/raw_socket.hxx"
#include "transport/vectors.hxx"

namespace nuraft {
namespace transport {

TEST(session, answers_what_comes_in_any_segmentation) {
    served s;
    raw_socket peer = raw_socket::connected_to(s.port());
    EXPECT_TRUE(peer.send(heartbeat_frame(4)));
    EXPECT_EQ(read_answer(peer), 5u);
    const ptr<buffer> frame = heartbeat_frame(5);
    for (size_t i = 0; i < frame->size(); ++i) EXPECT_TRUE(peer.send(frame->data_begin() + i, 1));
    EXPECT_EQ(read_answer(peer), 6u);
}

TEST(session, delivers_every_kind_of_request) {
    served s;
    s.sink->hold();
    raw_socket peer = raw_socket::connected_to(s.port());
    size_t sent = 0;
    for (const request_vector& v : request_vectors()) {
        peer.send(from_hex(v.hex));
        ASSERT_TRUE(s.sink->wait_for_held(++sent)) << v.name;
        const fake_sink::held_request& got = s.sink->held.back();
        EXPECT_EQ(got.req->get_type(), v.type) << v.name;
        EXPECT_EQ(got.req->log_entries().size(), v.entries.size()) << v.name;
    }
}

TEST(session, writes_answers_in_the_order_of_requests) {
    served s;
    s.sink->hold();
    raw_socket peer = raw_socket::connected_to(s.port());
    for (ulong i = 0; i < 20; ++i) peer.send(heartbeat_frame(i));
    ASSERT_TRUE(s.sink->wait_for_held(20));
    std::vector<fake_sink::held_request> held = s.sink->held;
    std::shuffle(held.begin(), held.end(), std::mt19937(1));
    for (fake_sink::held_request& h : held) h.done(fake_sink::echo(*h.req));
    for (ulong i = 0; i < 20; ++i) EXPECT_EQ(read_answer(peer), i + 1);
}

TEST(session, reads_ahead_up_to_a_bound) {
    served s;
    s.sink->hold();
    raw_socket peer = raw_socket::connected_to(s.port());
    const size_t bound = answer_queue::max_requests;
    for (ulong i = 0; i < bound + 10; ++i) peer.send(heartbeat_frame(i));
    ASSERT_TRUE(s.sink->wait_for_held(bound));
    // Another connection's round trip shows that the service is idle: no more came meanwhile.
    raw_socket other = raw_socket::connected_to(s.port());
    other.send(heartbeat_frame(1000));
    ASSERT_TRUE(s.sink->wait_for_held(bound + 1));
    EXPECT_EQ(s.sink->held.back().req->get_last_log_idx(), 1000u);
    s.sink->held.front().done(fake_sink::echo(*s.sink->held.front().req));
    EXPECT_EQ(read_answer(peer), 1u);
    ASSERT_TRUE(s.sink->wait_for_held(bound + 2));
    EXPECT_EQ(s.sink->held.back().req->get_last_log_idx(), bound);
}

TEST(session, no_answer_ends_the_connection_after_earlier_answers) {
    served s;
    s.sink->hold();
    raw_socket peer = raw_socket::connected_to(s.port());
    for (ulong i = 0; i < 3; ++i) peer.send(heartbeat_frame(i));
    ASSERT_TRUE(s.sink->wait_for_held(3));
    s.sink->held[1].done(nullptr);
    s.sink->held[2].done(fake_sink::echo(*s.sink->held[2].req));
    s.sink->held[0].done(fake_sink::echo(*s.sink->held[0].req));
    EXPECT_EQ(read_answer(peer), 1u);
    EXPECT_TRUE(peer.closed_by_peer());
}

TEST(session, a_dropped_or_throwing_request_ends_the_connection) {
    served s;
    s.sink->on_request([](ptr<req_msg>, request_sink::completion) {});
    raw_socket dropped = raw_socket::connected_to(s.port());
    dropped.send(heartbeat_frame(1));
    EXPECT_TRUE(dropped.closed_by_peer());
    s.sink->on_request(
        [](ptr<req_msg>, request_sink::completion) { throw std::runtime_error("bad handler"); });
    raw_socket threw = raw_socket::connected_to(s.port());
    threw.send(heartbeat_frame(1));
    EXPECT_TRUE(threw.closed_by_peer());
    EXPECT_TRUE(s.log->wait_for("bad handler"));
}

TEST(session, answers_of_an_ended_connection_go_nowhere) {
    served s;
    s.sink->hold();
    {
        raw_socket peer = raw_socket::connected_to(s.port());
        peer.send(heartbeat_frame(1));
        ASSERT_TRUE(s.sink->wait_for_held(1));
    }
    s.sink->held[0].done(fake_sink::echo(*s.sink->held[0].req));
    ASSERT_TRUE(s.sink->wait_for_event(cb_func::ConnectionClosed));
    s.sink->held[0].done(nullptr);
}

TEST(session, a_peer_that_stops_sending_still_gets_its_answers) {
    served s;
    s.sink->hold();
    raw_socket peer = raw_socket::connected_to(s.port());
    peer.send(heartbeat_frame(1));
    peer.end_sending();
    ASSERT_TRUE(s.sink->wait_for_held(1));
    s.sink->held[0].done(fake_sink::echo(*s.sink->held[0].req));
    EXPECT_EQ(read_answer(peer), 2u);
    EXPECT_TRUE(peer.closed_by_peer());
}

TEST(session, a_frame_that_lies_ends_its_connection_and_no_other) {
    served s;
    raw_socket bystander = raw_socket::connected_to(s.port());
    bystander.send(heartbeat_frame(1));
    EXPECT_EQ(read_answer(bystander), 2u);

    raw_socket garbage = raw_socket::connected_to(s.port());
    garbage.send(std::vector<byte>(request_header_size, 0x55));
    EXPECT_TRUE(garbage.closed_by_peer());
    EXPECT_TRUE(s.log->wait_for("does not match its checksum"));

    raw_socket negative = raw_socket::connected_to(s.port());
    negative.send(sealed_header(-1));
    EXPECT_TRUE(negative.closed_by_peer());
    EXPECT_TRUE(s.log->wait_for("body size -1"));

    raw_socket huge = raw_socket::connected_to(s.port());
    huge.send(sealed_header(0x40000001));
    EXPECT_TRUE(huge.closed_by_peer());
    EXPECT_TRUE(s.log->wait_for("body size 1073741825"));

    std::vector<byte> flagged = sealed_header(0);
    flagged[51] = 1;
    raw_socket unknown = raw_socket::connected_to(s.port());
    unknown.send(flagged);
    EXPECT_TRUE(unknown.closed_by_peer());
    EXPECT_TRUE(s.log->wait_for("unknown flags 256"));

    std::vector<byte> entry = sealed_header(13);
    entry.resize(entry.size() + 9);
    entry.insert(entry.end(), {0xff, 0xff, 0xff, 0x7f});
    raw_socket endless = raw_socket::connected_to(s.port());
    endless.send(entry);
    EXPECT_TRUE(endless.closed_by_peer());
    EXPECT_TRUE(s.log->wait_for("log entry 1 announces 2147483647 bytes"));

    raw_socket cut = raw_socket::connected_to(s.port());
    std::vector<byte> stub = sealed_header(12);
    stub.resize(stub.size() + 12);
    cut.send(stub);
    EXPECT_TRUE(cut.closed_by_peer());
    EXPECT_TRUE(s.log->wait_for("log entry 1 has 12 bytes left for a fixed part of 13"));

    bystander.send(heartbeat_frame(2));
    EXPECT_EQ(read_answer(bystander), 3u);
}

TEST(session, an_answered_request_before_a_bad_frame_is_answered) {
    served s;
    raw_socket peer = raw_socket::connected_to(s.port());
    peer.send(heartbeat_frame(1));
    std::vector<byte> bad = sealed_header(0);
    bad[1] = 99;
    peer.send(bad);
    EXPECT_EQ(read_answer(peer), 2u);
    EXPECT_TRUE(peer.closed_by_peer());
}

TEST(session, a_body_that_is_announced_and_does_not_come_costs_nothing) {
    served s;
    std::vector<raw_socket> liars;
    for (int i = 0; i < 64; ++i) {  // 64 GiB if the sizes were believed
        liars.push_back(raw_socket::connected_to(s.port()));
        EXPECT_TRUE(liars.back().send(sealed_header(0x40000000)));
        EXPECT_TRUE(liars.back().send(std::vector<byte>(1000)));
    }
    raw_socket honest = raw_socket::connected_to(s.port());
    honest.send(heartbeat_frame(1));
    EXPECT_EQ(read_answer(honest), 2u);
    liars.clear();
    EXPECT_TRUE(s.sink->wait_for_event(cb_func::ConnectionClosed, 64));
}

TEST(session, large_bodies_come_through) {
    served s;
    s.sink->hold();
    raw_socket peer = raw_socket::connected_to(s.port());
    ptr<req_msg> req = heartbeat(1);
    ptr<buffer> payload = buffer::alloc(5 << 20);
    for (size_t i = 0; i < payload->size(); ++i)
        payload->data_begin()[i] = static_cast<byte>(i * 7);
    req->log_entries().push_back(cs_new<log_entry>(1, payload));
    EXPECT_TRUE(peer.send(frame_of(*req)));
    ASSERT_TRUE(s.sink->wait_for_held(1));
    const buffer& came = s.sink->held[0].req->log_entries().at(0)->get_buf();
    ASSERT_EQ(came.size(), payload->size());
    EXPECT_EQ(std::memcmp(came.data_begin(), payload->data_begin(), came.size()), 0);
}

TEST(session, random_bytes_never_bring_the_service_down) {
    const unsigned seed = 77;
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    served s;
    const std::vector<request_vector> vectors = request_vectors();
    for (int i = 0; i < 100; ++i) {
        // A request with bytes changed, sometimes under a header checksum that is right.
        std::vector<byte> frame = from_hex(vectors[random() % vectors.size()].hex);
        for (int changes = 1 + random() % 4; changes > 0; --changes)
            frame[random() % frame.size()] = static_cast<byte>(random());
        if (random() % 2)
            store_little_endian(frame.data() + 46, crc32(frame.data(), request_header_crc_span));
        raw_socket peer = raw_socket::connected_to(s.port());
        peer.send(frame);
        peer.end_sending();
        while (read_answer(peer) != ~0ull) {
        }
    }
    raw_socket honest = raw_socket::connected_to(s.port());
    honest.send(heartbeat_frame(1));
    EXPECT_EQ(read_answer(honest), 2u);
}

TEST(session, tells_the_corrupted_message_handler) {
    struct call {
        size_t header;
        size_t body;
        bool has_body;
    };
    watched state;
    std::vector<call> calls;
    asio_service_options options;
    options.corrupted_msg_handler_ = [&](std::shared_ptr<buffer> header,
                                         std::shared_ptr<buffer> body) {
        state.change([&] {
            calls.push_back({header->size(), body ? body->size() : 0, body != nullptr});
        });
    };
    served s(options);
    const auto send = [&](std::vector<byte> frame) {
        raw_socket peer = raw_socket::connected_to(s.port());
        peer.send(frame);
        EXPECT_TRUE(peer.closed_by_peer());
    };
    send(std::vector<byte>(request_header_size, 1));  // header checksum
    ptr<req_msg> req = heartbeat(1);
    req->log_entries().push_back(cs_new<log_entry>(1, buffer::alloc(3)));
    ptr<buffer> frame;
    encode_request(*req, "", request_format{false, true, false}, frame);
    frame->data_begin()[frame->size() - 1] ^= 1;
    send({frame->data_begin(), frame->data_begin() + frame->size()});  // whole message
    std::vector<byte> meta = sealed_header(2);
    meta[50] = flag::metadata;
    meta.resize(meta.size() + 2);
    send(meta);         // metadata that does not fit is not reported
    s.service->stop();  // nothing more is reported
    ASSERT_EQ(calls.size(), 2u);
    EXPECT_EQ(calls[0].header, request_header_size);
    EXPECT_FALSE(calls[0].has_body);
    EXPECT_EQ(calls[1].header, request_header_size);
    EXPECT_EQ(calls[1].body, frame->size() - request_header_size);
}

TEST(session, metadata_is_judged_when_it_comes_and_goes_out_with_answers) {
    asio_service_options options;
    options.read_req_meta_ = [](const asio_service_meta_cb_params& p, const std::string& meta) {
        return p.req_ != nullptr && p.resp_ == nullptr && meta == "good";
    };
    options.write_resp_meta_ = [](const asio_service_meta_cb_params& p) {
        return "for " + std::to_string(p.log_idx_) + (p.resp_ ? "" : " without answer");
    };
    served s(options);
    raw_socket good = raw_socket::connected_to(s.port());
    good.send(frame_of(*heartbeat(7), "good"));
    const std::vector<byte> head = good.receive(response_header_size);
    response_header header;
    ASSERT_TRUE(parse_response_header(head.data(), header).ok());
    const std::vector<byte> body = good.receive(header.body_size);
    decoded_response resp;
    ASSERT_TRUE(decode_response(header, body.data(), body.size(), resp).ok());
    EXPECT_EQ(resp.metadata, "for 7");

    for (const char* meta : {"bad", ""}) {
        raw_socket refused = raw_socket::connected_to(s.port());
        refused.send(frame_of(*heartbeat(7), meta));
        EXPECT_TRUE(refused.closed_by_peer());
    }
}

TEST(session, absent_metadata_need_not_be_judged) {
    asio_service_options options;
    options.invoke_req_cb_on_empty_meta_ = false;
    options.read_req_meta_ = [](const asio_service_meta_cb_params&, const std::string&) {
        return false;
    };
    served s(options);
    raw_socket peer = raw_socket::connected_to(s.port());
    peer.send(heartbeat_frame(1));
    EXPECT_EQ(read_answer(peer), 2u);
}

TEST(session, tells_of_its_life) {
    served s;
    {
        raw_socket peer = raw_socket::connected_to(s.port());
        req_msg ping(1, ping_request, 5, 2, 0, 0, 0);
        peer.send(frame_of(ping));
        read_answer(peer);
        req_msg append(1, append_entries_request, 5, 2, 0, 0, 0);
        for (int i = 0; i < 3; ++i) {
            peer.send(frame_of(append));
            read_answer(peer);
        }
    }
    ASSERT_TRUE(s.sink->wait_for_event(cb_func::ConnectionClosed));
    ASSERT_EQ(s.sink->events.size(), 3u);
    const auto& opened = s.sink->events[0];
    EXPECT_EQ(opened.type, cb_func::ConnectionOpened);
    EXPECT_EQ(opened.args.srvId, 5);
    EXPECT_FALSE(opened.args.isLeader);
    EXPECT_EQ(opened.args.address, "127.0.0.1");
    EXPECT_NE(opened.args.port, 0u);
    EXPECT_NE(opened.args.sessionId, 0u);
    EXPECT_EQ(s.sink->events[1].type, cb_func::NewSessionFromLeader);
    EXPECT_TRUE(s.sink->events[1].args.isLeader);
    EXPECT_EQ(s.sink->events[2].args.sessionId, opened.args.sessionId);
    EXPECT_TRUE(s.sink->events[2].args.isLeader);

    raw_socket::connected_to(s.port()).close();  // says nothing
    ASSERT_TRUE(s.sink->wait_for_event(cb_func::ConnectionClosed, 2));
    EXPECT_EQ(s.sink->events.back().args.srvId, -1);
}

TEST(listener, a_taken_port_gives_null_and_a_line_in_the_log) {
    served s;
    ptr<memory_logger> log = cs_new<memory_logger>();
    ptr<logger> l = log;
    EXPECT_EQ(s.service->create_rpc_listener(s.port(), l), nullptr);
    EXPECT_TRUE(log->wait_for("cannot listen on port " + std::to_string(s.port())));
}

TEST(listener, stop_refuses_connections_and_keeps_sessions) {
    served s;
    raw_socket peer = raw_socket::connected_to(s.port());
    peer.send(heartbeat_frame(1));
    EXPECT_EQ(read_answer(peer), 2u);
    const uint16_t port = s.port();
    s.door->stop();
    EXPECT_THROW(raw_socket::connected_to(port), std::runtime_error);
    peer.send(heartbeat_frame(2));
    EXPECT_EQ(read_answer(peer), 3u);
    // The port is free at once.
    ptr<logger> none;
    ptr<rpc_listener> next = s.service->create_rpc_listener(port, none);
    EXPECT_NE(next, nullptr);
    EXPECT_EQ(bound_port(next), port);
}

TEST(listener, shutdown_closes_sessions_and_lets_go_of_the_handler) {
    served s;
    s.sink->hold();
    raw_socket idle = raw_socket::connected_to(s.port());
    raw_socket busy = raw_socket::connected_to(s.port());
    busy.send(heartbeat_frame(1));
    ASSERT_TRUE(s.sink->wait_for_held(1));
    s.door->stop();
    s.door->shutdown();
    EXPECT_TRUE(idle.closed_by_peer());
    EXPECT_TRUE(busy.closed_by_peer());
    s.service->stop();
    EXPECT_EQ(s.sink.use_count(), 1);
}

TEST(listener, stopping_the_service_with_requests_under_way) {
    served s;
    s.sink->hold();
    raw_socket peer = raw_socket::connected_to(s.port());
    for (ulong i = 0; i < 10; ++i) peer.send(heartbeat_frame(i));
    ASSERT_TRUE(s.sink->wait_for_held(10));
    s.service->stop();
    EXPECT_TRUE(peer.closed_by_peer());
    EXPECT_EQ(s.sink->count(cb_func::ConnectionClosed), 1u);
    for (fake_sink::held_request& h : s.sink->held) h.done(fake_sink::echo(*h.req));
    EXPECT_EQ(s.sink.use_count(), 1);
}

TEST(listener, answers_may_come_after_the_service_is_gone) {
    std::vector<fake_sink::held_request> held;
    {
        served s;
        s.sink->hold();
        raw_socket peer = raw_socket::connected_to(s.port());
        peer.send(heartbeat_frame(1));
        ASSERT_TRUE(s.sink->wait_for_held(1));
        held.swap(s.sink->held);
    }
    held[0].done(fake_sink::echo(*held[0].req));
}

TEST(listener, outlives_its_service_harmlessly) {
    ptr<rpc_listener> door;
    {
        served s;
        door = s.door;
    }
    door->stop();
    door->shutdown();
}

TEST(listener, connections_are_bounded) {
    served s;
    std::vector<raw_socket> open;
    for (size_t i = 0; i < door_limits().sessions_max; ++i)
        open.push_back(raw_socket::connected_to(s.port()));
    open.back().send(heartbeat_frame(1));
    EXPECT_EQ(read_answer(open.back()), 2u);  // all before it are accepted as well
    raw_socket one_more = raw_socket::connected_to(s.port());
    EXPECT_TRUE(open.front().closed_by_peer());
    one_more.send(heartbeat_frame(2));
    EXPECT_EQ(read_answer(one_more), 3u);
}

}  // namespace transport
}  // namespace nuraft
