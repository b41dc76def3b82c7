// Client and listener of the library with each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "transport/doubles.hxx"

namespace nuraft {
namespace transport {

namespace {

ptr<req_msg> entry_request(ulong number) {
    ptr<req_msg> req = heartbeat(number);
    ptr<buffer> payload = buffer::alloc(8);
    payload->put(number);
    req->log_entries().push_back(cs_new<log_entry>(1, payload, app_log, 1234567));
    return req;
}

void send(rpc_client& client, ptr<req_msg> req, outcomes& got) {
    rpc_handler record = got.recorder();
    client.send(req, record);
}

}  // namespace

TEST(loopback, every_form_of_message_comes_through) {
    for (int bits = 0; bits < 8; ++bits) {
        SCOPED_TRACE("options " + std::to_string(bits));
        asio_service_options options;
        options.replicate_log_timestamp_ = (bits & 1) != 0;
        options.crc_on_entire_message_ = (bits & 2) != 0;
        options.crc_on_payload_ = (bits & 4) != 0;
        options.write_req_meta_ = [](const asio_service_meta_cb_params&) { return "q"; };
        options.read_req_meta_ = [](const asio_service_meta_cb_params&, const std::string& m) {
            return m == "q";
        };
        options.write_resp_meta_ = [](const asio_service_meta_cb_params&) { return "s"; };
        options.read_resp_meta_ = [](const asio_service_meta_cb_params&, const std::string& m) {
            return m == "s";
        };
        served s(options);
        ptr<req_msg> seen;
        s.sink->on_request([&](ptr<req_msg> req, request_sink::completion done) {
            seen = req;
            ptr<resp_msg> resp = fake_sink::echo(*req);
            ptr<buffer> context = buffer::alloc(2);
            context->put(static_cast<byte>(1));
            resp->set_ctx(context);
            resp->set_next_batch_size_hint_in_bytes(-7);
            resp->set_extra_flags(resp_msg::SELF_MARK_DOWN);
            done(resp);
        });
        outcomes got;
        ptr<rpc_client> client = s.service->create_client("tcp://" + s.endpoint());
        send(*client, entry_request(5), got);
        ASSERT_TRUE(got.wait_for(1));
        ASSERT_NE(got.all[0].resp, nullptr) << got.error(0);
        const resp_msg& resp = *got.all[0].resp;
        EXPECT_EQ(resp.get_next_idx(), 6u);
        EXPECT_EQ(resp.get_ctx()->size(), 2u);
        EXPECT_EQ(resp.get_next_batch_size_hint_in_bytes(), -7);
        EXPECT_EQ(resp.get_extra_flags(), resp_msg::SELF_MARK_DOWN);
        ASSERT_EQ(seen->log_entries().size(), 1u);
        EXPECT_EQ(seen->log_entries()[0]->get_timestamp(),
                  options.replicate_log_timestamp_ ? 1234567u : 0u);
        EXPECT_EQ(seen->log_entries()[0]->has_crc32(), options.crc_on_payload_);
    }
}

TEST(loopback, streamed_requests_are_answered_in_order_whatever_the_order_of_answers) {
    asio_service_options options;
    options.streaming_mode_ = true;
    served s(options);
    s.sink->hold();
    outcomes got;
    ptr<rpc_client> client = s.service->create_client(s.endpoint());
    constexpr ulong rounds = 10;
    constexpr ulong each = 30;
    for (ulong round = 0; round < rounds; ++round) {
        for (ulong i = 0; i < each; ++i) send(*client, entry_request(round * each + i), got);
        ASSERT_TRUE(s.sink->wait_for_held(each));
        std::vector<fake_sink::held_request> held;
        s.sink->state.change([&] { held.swap(s.sink->held); });
        for (ulong i = 0; i < each; ++i)
            EXPECT_EQ(held[i].req->get_last_log_idx(), round * each + i);
        std::shuffle(held.begin(), held.end(), std::mt19937(static_cast<unsigned>(round)));
        std::thread answering([&] {
            for (fake_sink::held_request& h : held) h.done(fake_sink::echo(*h.req));
        });
        answering.join();
        ASSERT_TRUE(got.wait_for((round + 1) * each));
    }
    for (ulong i = 0; i < rounds * each; ++i) {
        ASSERT_NE(got.all[i].resp, nullptr) << got.error(i);
        EXPECT_EQ(got.all[i].resp->get_next_idx(), i + 1);
    }
}

TEST(loopback, a_request_without_answer_is_an_error_for_its_sender) {
    served s;
    s.sink->on_request([](ptr<req_msg>, request_sink::completion done) { done(nullptr); });
    outcomes got;
    ptr<rpc_client> client = s.service->create_client(s.endpoint());
    send(*client, heartbeat(1), got);
    ASSERT_TRUE(got.wait_for(1));
    EXPECT_NE(got.all[0].error, nullptr);
    EXPECT_TRUE(client->is_abandoned());
}

TEST(loopback, result_codes_travel_with_client_requests_only) {
    served s;
    s.sink->on_request([](ptr<req_msg> req, request_sink::completion done) {
        ptr<resp_msg> resp = fake_sink::echo(*req);
        resp->set_result_code(cmd_result_code::NOT_LEADER);
        done(resp);
    });
    outcomes got;
    ptr<rpc_client> client = s.service->create_client(s.endpoint());
    send(*client, cs_new<req_msg>(0, client_request, 0, 0, 0, 0, 0), got);
    ASSERT_TRUE(got.wait_for(1));
    send(*client, heartbeat(1), got);
    ASSERT_TRUE(got.wait_for(2));
    ASSERT_NE(got.all[0].resp, nullptr) << got.error(0);
    EXPECT_EQ(got.all[0].resp->get_result_code(), cmd_result_code::NOT_LEADER);
    EXPECT_EQ(got.all[1].resp->get_result_code(), cmd_result_code::OK);
}

TEST(loopback, a_listener_that_goes_fails_what_is_pending) {
    asio_service_options options;
    options.streaming_mode_ = true;
    served s(options);
    s.sink->hold();
    outcomes got;
    ptr<rpc_client> client = s.service->create_client(s.endpoint());
    for (ulong i = 0; i < 10; ++i) send(*client, heartbeat(i), got);
    ASSERT_TRUE(s.sink->wait_for_held(10));
    s.door->stop();
    s.door->shutdown();
    ASSERT_TRUE(got.wait_for(10));
    for (ulong i = 0; i < 10; ++i) {
        ASSERT_NE(got.all[i].error, nullptr);
        EXPECT_EQ(got.all[i].error->req()->get_last_log_idx(), i);
    }
}

TEST(loopback, services_stop_in_the_middle_of_traffic) {
    for (int round = 0; round < 5; ++round) {
        asio_service_options options;
        options.streaming_mode_ = true;
        outcomes got;
        size_t sent = 0;
        {
            served s(options);
            ptr<rpc_client> client = s.service->create_client(s.endpoint());
            for (; sent < 300; ++sent) send(*client, entry_request(sent), got);
            ASSERT_TRUE(got.wait_for(20));
        }
        // Everything is complete once the service is gone, with one outcome each, in order.
        ASSERT_EQ(got.all.size(), sent);
        for (size_t i = 0; i < sent; ++i) {
            const ulong number = got.all[i].resp ? got.all[i].resp->get_next_idx() - 1
                                                 : got.all[i].error->req()->get_last_log_idx();
            EXPECT_EQ(number, i);
        }
    }
}

}  // namespace transport
}  // namespace nuraft
