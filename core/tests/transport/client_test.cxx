// The client against a peer that the test plays itself.
#include <gtest/gtest.h>

#include <asio/executor_work_guard.hpp>
#include <set>
#include <thread>

#include "base/bytes.hxx"
#include "base/crc32.hxx"
#include "base/request_unsent.hxx"
#include "transport/client_connection.hxx"
#include "transport/doubles.hxx"
#include "transport/raw_socket.hxx"
#include "transport/request_codec.hxx"
#include "transport/response_codec.hxx"

namespace nuraft {
namespace transport {

namespace {

asio_service_options plain(bool streaming = false) {
    asio_service_options options;
    options.thread_pool_size_ = 2;
    options.streaming_mode_ = streaming;
    return options;
}

ptr<buffer> answer_frame(ulong next_idx) {
    ptr<buffer> frame;
    encode_response(resp_msg(1, append_entries_response, 2, 1, next_idx, true),
                    append_entries_request, "", frame);
    return frame;
}

/// Reads one heartbeat; its number, or all ones if none came.
ulong read_heartbeat(raw_socket& from) {
    const std::vector<byte> bytes = from.receive(request_header_size);
    request_header header;
    if (bytes.size() < request_header_size || !parse_request_header(bytes.data(), header).ok())
        return ~0ull;
    return header.last_log_idx;
}

/// A client, and what became of its requests.
struct sender {
    sender(asio_service& service, const std::string& endpoint)
        : client(service.create_client(endpoint)) {}
    void send(ulong number, uint64_t timeout_ms = 0) {
        ptr<req_msg> req = heartbeat(number);
        rpc_handler record = got.recorder();
        client->send(req, record, timeout_ms);
    }
    outcomes got;
    ptr<rpc_client> client;
};

}  // namespace

TEST(client, needs_an_endpoint) {
    asio_service service(plain());
    EXPECT_EQ(service.create_client("nowhere"), nullptr);
    EXPECT_EQ(service.create_client("host:0"), nullptr);
    EXPECT_THROW(service.create_client("host:http"), std::invalid_argument);
}

TEST(client, ids_are_unique_and_not_zero) {
    asio_service one(plain());
    asio_service other(plain());
    std::set<uint64_t> ids;
    for (int i = 0; i < 10; ++i) {
        ids.insert(one.create_client("127.0.0.1:1")->get_id());
        ids.insert(other.create_client("127.0.0.1:1")->get_id());
    }
    EXPECT_EQ(ids.size(), 20u);
    EXPECT_EQ(ids.count(0), 0u);
}

TEST(client, sends_and_gets_the_answer) {
    raw_acceptor peer;
    asio_service service(plain());
    sender s(service, peer.endpoint());
    EXPECT_FALSE(s.client->is_abandoned());
    s.send(7);
    raw_socket connection = peer.accept();
    EXPECT_EQ(read_heartbeat(connection), 7u);
    connection.send(answer_frame(8));
    ASSERT_TRUE(s.got.wait_for(1));
    ASSERT_NE(s.got.all[0].resp, nullptr);
    EXPECT_EQ(s.got.all[0].error, nullptr);
    EXPECT_EQ(s.got.all[0].resp->get_next_idx(), 8u);
    EXPECT_FALSE(s.client->is_abandoned());
}

TEST(client, has_one_request_under_way_without_streaming) {
    raw_acceptor peer;
    asio_service service(plain());
    sender s(service, peer.endpoint());
    for (ulong i = 1; i <= 3; ++i) s.send(i);
    raw_socket connection = peer.accept();
    for (ulong i = 1; i <= 3; ++i) {
        EXPECT_EQ(read_heartbeat(connection), i);
        // The next request comes only after this answer, so the answer's bytes may be cut.
        const ptr<buffer> answer = answer_frame(i);
        connection.send(answer->data_begin(), 20);
        connection.send(answer->data_begin() + 20, answer->size() - 20);
        ASSERT_TRUE(s.got.wait_for(i));
    }
    for (ulong i = 1; i <= 3; ++i) EXPECT_EQ(s.got.all[i - 1].resp->get_next_idx(), i);
}

TEST(client, writes_ahead_of_answers_with_streaming) {
    raw_acceptor peer;
    asio_service service(plain(true));
    sender s(service, peer.endpoint());
    for (ulong i = 1; i <= 50; ++i) s.send(i);
    raw_socket connection = peer.accept();
    for (ulong i = 1; i <= 50; ++i) EXPECT_EQ(read_heartbeat(connection), i);
    for (ulong i = 1; i <= 50; ++i) connection.send(answer_frame(i));
    ASSERT_TRUE(s.got.wait_for(50));
    for (ulong i = 1; i <= 50; ++i) EXPECT_EQ(s.got.all[i - 1].resp->get_next_idx(), i);
}

TEST(client, all_pending_requests_fail_oldest_first) {
    raw_acceptor peer;
    asio_service service(plain(true));
    sender s(service, peer.endpoint());
    for (ulong i = 1; i <= 10; ++i) s.send(i);
    raw_socket connection = peer.accept();
    for (ulong i = 1; i <= 10; ++i) EXPECT_EQ(read_heartbeat(connection), i);
    connection.send(answer_frame(1));
    ASSERT_TRUE(s.got.wait_for(1));
    connection.close();
    ASSERT_TRUE(s.got.wait_for(10));
    for (ulong i = 2; i <= 10; ++i) {
        ASSERT_NE(s.got.all[i - 1].error, nullptr);
        EXPECT_EQ(s.got.all[i - 1].error->req()->get_last_log_idx(), i);
    }
    EXPECT_TRUE(s.client->is_abandoned());
}

TEST(client, is_abandoned_after_a_failure_and_refuses_what_follows) {
    uint16_t closed_port;
    {
        raw_acceptor gone;
        closed_port = gone.port();
    }
    asio_service service(plain());
    sender s(service, "127.0.0.1:" + std::to_string(closed_port));
    s.send(1);
    ASSERT_TRUE(s.got.wait_for(1));
    EXPECT_NE(s.got.error(0).find("cannot connect"), std::string::npos) << s.got.error(0);
    EXPECT_TRUE(s.client->is_abandoned());
    s.send(2);
    ASSERT_TRUE(s.got.wait_for(2));
    EXPECT_NE(s.got.error(1).find("abandoned"), std::string::npos) << s.got.error(1);
    EXPECT_EQ(s.got.all[1].error->req()->get_last_log_idx(), 2u);
}

// Whoever asked may ask somebody else, if the request cannot have arrived.
TEST(client, tells_what_was_never_sent) {
    raw_acceptor peer;
    asio_service service(plain());  // One request at a time: the second waits.
    sender s(service, peer.endpoint());
    s.send(1);
    s.send(2);
    raw_socket connection = peer.accept();
    EXPECT_EQ(read_heartbeat(connection), 1u);
    connection.close();
    ASSERT_TRUE(s.got.wait_for(2));
    const auto unsent = [&](size_t i) {
        return dynamic_cast<const request_unsent*>(s.got.all[i].error.get()) != nullptr;
    };
    EXPECT_FALSE(unsent(0));
    EXPECT_TRUE(unsent(1));
    s.send(3);
    ASSERT_TRUE(s.got.wait_for(3));
    EXPECT_TRUE(unsent(2)) << "the connection has ended";
}

TEST(client, does_not_complete_within_send) {
    asio_service service(plain());
    sender s(service, "127.0.0.1:1");
    std::mutex held;
    rpc_handler record = s.got.recorder();
    rpc_handler locking = [&](ptr<resp_msg>& resp, ptr<rpc_exception>& error) {
        std::lock_guard<std::mutex> guard(held);  // would deadlock inline
        record(resp, error);
    };
    for (int i = 0; i < 20; ++i) {
        std::lock_guard<std::mutex> guard(held);
        ptr<req_msg> req = heartbeat(1);
        s.client->send(req, locking);
    }
    ASSERT_TRUE(s.got.wait_for(20));
}

TEST(client, peer_that_closes_within_an_answer) {
    for (size_t sent : {0, 1, 38}) {
        raw_acceptor peer;
        asio_service service(plain());
        sender s(service, peer.endpoint());
        s.send(1);
        raw_socket connection = peer.accept();
        EXPECT_EQ(read_heartbeat(connection), 1u);
        connection.send(answer_frame(1)->data_begin(), sent);
        connection.close();
        ASSERT_TRUE(s.got.wait_for(1));
        EXPECT_NE(s.got.all[0].error, nullptr);
        EXPECT_TRUE(s.client->is_abandoned());
    }
}

TEST(client, answers_that_lie_fail_the_request) {
    const auto outcome_of = [](std::vector<byte> bytes, const std::string& logged) {
        raw_acceptor peer;
        const auto log = cs_new<memory_logger>();
        asio_service service(plain(), log);
        sender s(service, peer.endpoint());
        s.send(1);
        raw_socket connection = peer.accept();
        read_heartbeat(connection);
        connection.send(bytes);
        connection.end_sending();
        EXPECT_TRUE(s.got.wait_for(1));
        EXPECT_TRUE(connection.closed_by_peer());
        EXPECT_TRUE(log->wait_for(logged));
        return s.got.error(0);
    };
    const ptr<buffer> good = answer_frame(1);
    std::vector<byte> bytes(good->data_begin(), good->data_begin() + good->size());
    bytes[3] ^= 1;
    EXPECT_NE(outcome_of(bytes, "bad answer from 127.0.0.1:").find("checksum"), std::string::npos);
    bytes[3] ^= 1;
    bytes[38] = 1;
    EXPECT_NE(outcome_of(bytes, "bad answer from 127.0.0.1:").find("unknown flags"),
              std::string::npos);
    // Sizes of bodies under a good checksum: 1 GiB that never comes, and a negative one.
    const auto with_body_size = [&](uint32_t size) {
        std::vector<byte> lie(good->data_begin(), good->data_begin() + good->size());
        store_little_endian(lie.data() + 27, size);
        store_little_endian(lie.data() + 31, crc32(lie.data(), response_header_crc_span));
        return lie;
    };
    EXPECT_FALSE(outcome_of(with_body_size(0x40000000), "cannot read").empty());
    EXPECT_NE(outcome_of(with_body_size(0x80000000), "bad answer from").find("body size"),
              std::string::npos);
}

TEST(client, an_answer_that_nobody_asked_for_ends_the_connection) {
    raw_acceptor peer;
    asio_service service(plain());
    sender s(service, peer.endpoint());
    s.send(1);
    raw_socket connection = peer.accept();
    read_heartbeat(connection);
    connection.send(answer_frame(1));
    ASSERT_TRUE(s.got.wait_for(1));
    connection.send(answer_frame(2));
    EXPECT_TRUE(connection.closed_by_peer());
    EXPECT_EQ(s.got.state.read([&] { return s.got.all.size(); }), 1u);
}

TEST(client, a_time_limit_ends_the_connection) {
    raw_acceptor peer;
    asio_service service(plain());
    sender s(service, peer.endpoint());
    s.send(1);
    s.send(2, 40);  // waits behind the first, which has no limit
    raw_socket connection = peer.accept();
    EXPECT_EQ(read_heartbeat(connection), 1u);
    ASSERT_TRUE(s.got.wait_for(2));
    EXPECT_NE(s.got.error(1).find("no answer within 40 ms"), std::string::npos) << s.got.error(1);
    EXPECT_TRUE(s.client->is_abandoned());
    EXPECT_TRUE(connection.closed_by_peer());
}

TEST(client, an_answer_in_time_ends_the_time_limit) {
    raw_acceptor peer;
    asio_service service(plain());
    sender s(service, peer.endpoint());
    s.send(1, 300);
    raw_socket connection = peer.accept();
    read_heartbeat(connection);
    connection.send(answer_frame(1));
    ASSERT_TRUE(s.got.wait_for(1));
    EXPECT_NE(s.got.all[0].resp, nullptr);
    // A second request outlives the first one's limit on the same connection.
    s.send(2, 600);
    ASSERT_TRUE(s.got.wait_for(2));
    EXPECT_NE(s.got.error(1).find("600 ms"), std::string::npos) << s.got.error(1);
}

TEST(client, pending_requests_are_bounded) {
    raw_acceptor peer;
    asio_service service(plain());
    sender s(service, peer.endpoint());
    for (ulong i = 0; i < client_connection::max_pending + 5; ++i) s.send(i);
    ASSERT_TRUE(s.got.wait_for(5));
    for (size_t i = 0; i < 5; ++i)
        EXPECT_NE(s.got.error(i).find("too many"), std::string::npos) << s.got.error(i);
    EXPECT_FALSE(s.client->is_abandoned());
    s.client.reset();
    ASSERT_TRUE(s.got.wait_for(client_connection::max_pending + 5));
}

TEST(client, dropping_it_completes_what_is_pending) {
    raw_acceptor peer;
    asio_service service(plain());
    sender s(service, peer.endpoint());
    s.send(1);
    s.send(2);
    raw_socket connection = peer.accept();
    EXPECT_EQ(read_heartbeat(connection), 1u);
    s.client.reset();
    ASSERT_TRUE(s.got.wait_for(2));
    EXPECT_NE(s.got.all[0].error, nullptr);
    EXPECT_NE(s.got.all[1].error, nullptr);
    EXPECT_TRUE(connection.closed_by_peer());
}

TEST(client, stopping_the_service_completes_what_is_pending) {
    raw_acceptor peer;
    auto service = cs_new<asio_service>(plain(true));
    sender s(*service, peer.endpoint());
    s.send(1);
    s.send(2);
    raw_socket connection = peer.accept();
    EXPECT_EQ(read_heartbeat(connection), 1u);
    service->stop();
    // No waiting: when it has returned, everything is complete.
    ASSERT_EQ(s.got.all.size(), 2u);
    EXPECT_NE(s.got.all[0].error, nullptr);
    s.send(3);
    ASSERT_EQ(s.got.all.size(), 3u);
    service.reset();
    s.send(4);
    ASSERT_EQ(s.got.all.size(), 4u);
    EXPECT_TRUE(s.client->is_abandoned());
}

TEST(client, is_usable_from_within_a_completion) {
    raw_acceptor peer;
    asio_service service(plain());
    sender s(service, peer.endpoint());
    rpc_handler again = [&](ptr<resp_msg>&, ptr<rpc_exception>&) { s.send(2); };
    ptr<req_msg> req = heartbeat(1);
    s.client->send(req, again);
    raw_socket connection = peer.accept();
    EXPECT_EQ(read_heartbeat(connection), 1u);
    connection.send(answer_frame(1));
    EXPECT_EQ(read_heartbeat(connection), 2u);
    connection.send(answer_frame(2));
    ASSERT_TRUE(s.got.wait_for(1));
    EXPECT_EQ(s.got.all[0].resp->get_next_idx(), 2u);
}

TEST(client, completes_each_request_once_under_concurrent_use) {
    raw_acceptor peer;
    asio_service service(plain(true));
    sender s(service, peer.endpoint());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (ulong i = 0; i < 200; ++i) s.send(i);
        });
    raw_socket connection = peer.accept();
    for (int i = 0; i < 300; ++i) {
        EXPECT_NE(read_heartbeat(connection), ~0ull);
        connection.send(answer_frame(1));
    }
    for (std::thread& thread : threads) thread.join();
    connection.close();
    ASSERT_TRUE(s.got.wait_for(800));
    service.stop();
    EXPECT_EQ(s.got.all.size(), 800u);
}

TEST(client, custom_resolver_says_where_to_connect) {
    raw_acceptor peer;
    std::string asked;
    std::thread answering;
    asio_service_options options = plain();
    options.custom_resolver_ = [&](const std::string& host, const std::string& port,
                                   asio_service_custom_resolver_response respond) {
        asked = host + ":" + port;
        answering = std::thread([&peer, respond] {
            respond("127.0.0.1", std::to_string(peer.port()), {});
            respond("127.0.0.1", "1", {});  // a second answer is too late
        });
    };
    asio_service service(options);
    sender s(service, "printer-farm:9001");
    s.send(1);
    raw_socket connection = peer.accept();
    EXPECT_EQ(read_heartbeat(connection), 1u);
    EXPECT_EQ(asked, "printer-farm:9001");
    connection.send(answer_frame(1));
    ASSERT_TRUE(s.got.wait_for(1));
    EXPECT_NE(s.got.all[0].resp, nullptr);
    answering.join();
}

TEST(client, custom_resolver_may_fail_or_never_answer) {
    asio_service_options options = plain();
    asio_service_custom_resolver_response kept;
    options.custom_resolver_ = [&](const std::string& host, const std::string&,
                                   asio_service_custom_resolver_response respond) {
        if (host == "silent")
            kept = respond;
        else
            respond("", "", std::make_error_code(std::errc::host_unreachable));
    };
    asio_service service(options);
    sender failing(service, "unknown:9001");
    failing.send(1);
    ASSERT_TRUE(failing.got.wait_for(1));
    EXPECT_NE(failing.got.error(0).find("resolver"), std::string::npos) << failing.got.error(0);

    sender silent(service, "silent:9001");
    silent.send(1, 20);
    ASSERT_TRUE(silent.got.wait_for(1));
    kept("127.0.0.1", "1", {});  // too late, harmless
}

TEST(client, metadata_goes_out_and_is_judged_when_it_comes_in) {
    raw_acceptor peer;
    asio_service_options options = plain();
    options.write_req_meta_ = [](const asio_service_meta_cb_params& p) {
        return "number " + std::to_string(p.log_idx_);
    };
    options.read_resp_meta_ = [](const asio_service_meta_cb_params& p, const std::string& meta) {
        return p.resp_ != nullptr && p.req_ != nullptr && meta == "good";
    };
    asio_service service(options);
    const auto exchange = [&](const std::string& answer_meta) {
        sender s(service, peer.endpoint());
        s.send(7);
        raw_socket connection = peer.accept();
        const std::vector<byte> head = connection.receive(request_header_size);
        request_header header;
        EXPECT_TRUE(parse_request_header(head.data(), header).ok());
        const std::vector<byte> body = connection.receive(header.body_size);
        decoded_request req;
        EXPECT_TRUE(decode_request(header, body.data(), body.size(), req).ok());
        EXPECT_EQ(req.metadata, "number 7");
        ptr<buffer> frame;
        encode_response(resp_msg(1, append_entries_response, 2, 1, 8, true), append_entries_request,
                        answer_meta, frame);
        connection.send(frame);
        EXPECT_TRUE(s.got.wait_for(1));
        return s.got.error(0);
    };
    EXPECT_EQ(exchange("good"), "");
    EXPECT_NE(exchange("bad").find("metadata"), std::string::npos);
    EXPECT_NE(exchange("").find("metadata"), std::string::npos);
}

TEST(client, works_on_an_external_context) {
    asio::io_context context;
    auto keep_running = asio::make_work_guard(context);
    std::thread runner([&] { context.run(); });
    raw_acceptor peer;
    asio_service_options options;
    options.custom_io_context_ = &context;
    auto service = cs_new<asio_service>(options);
    sender s(*service, peer.endpoint());
    s.send(1);
    raw_socket connection = peer.accept();
    EXPECT_EQ(read_heartbeat(connection), 1u);
    connection.send(answer_frame(1));
    ASSERT_TRUE(s.got.wait_for(1));
    s.send(2);
    EXPECT_EQ(read_heartbeat(connection), 2u);
    service.reset();  // what is pending ends with it
    ASSERT_TRUE(s.got.wait_for(2));
    EXPECT_NE(s.got.all[1].error, nullptr);
    keep_running.reset();
    runner.join();
}

TEST(client, an_external_context_that_goes_completes_what_is_pending) {
    outcomes got;
    ptr<rpc_client> client;
    {
        asio::io_context context;
        asio_service_options options;
        options.custom_io_context_ = &context;
        asio_service service(options);
        client = service.create_client("127.0.0.1:1");
        ptr<req_msg> req = heartbeat(1);
        rpc_handler record = got.recorder();
        client->send(req, record);
        client.reset();
        EXPECT_EQ(got.all.size(), 0u);  // nobody has run the context
    }
    ASSERT_EQ(got.all.size(), 1u);
    EXPECT_NE(got.all[0].error, nullptr);
}

}  // namespace transport
}  // namespace nuraft
