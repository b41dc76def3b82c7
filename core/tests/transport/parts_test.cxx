// The parts that know nothing of sockets: endpoints, the watch on leadership, the order of answers.
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "transport/answer_once.hxx"
#include "transport/answer_queue.hxx"
#include "transport/endpoint.hxx"
#include "transport/leader_watch.hxx"

namespace nuraft {
namespace transport {

TEST(endpoint, host_and_port_with_or_without_scheme) {
    for (const char* text : {"node-1:9001", "tcp://node-1:9001", "x://y://node-1:9001"}) {
        const auto parsed = parse_endpoint(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(parsed->host, "node-1");
        EXPECT_EQ(parsed->port, "9001");
    }
    EXPECT_EQ(parse_endpoint("::1:65535")->host, "::1");
}

TEST(endpoint, no_colon_no_host_or_no_port_is_no_endpoint) {
    for (const char* text : {"", "node-1", ":9001", "tcp://:9001", "node-1:0", "node-1:65536",
                             "node-1:99999999999999999999"})
        EXPECT_FALSE(parse_endpoint(text)) << text;
}

TEST(endpoint, a_port_that_is_no_number_throws) {
    for (const char* text : {"node-1:", "node-1:http", "node-1:90x", "node-1:-1", "node-1: 1"})
        EXPECT_THROW(parse_endpoint(text), std::invalid_argument) << text;
}

TEST(leader_watch, only_messages_of_leaders_begin_a_session) {
    for (int type = request_vote_request; type <= custom_notification_response; ++type) {
        const bool leaders = type == append_entries_request || type == sync_log_request ||
                             type == join_cluster_request || type == leave_cluster_request ||
                             type == install_snapshot_request || type == priority_change_request ||
                             type == custom_notification_request;
        leader_watch watch;
        EXPECT_EQ(watch.begins_session(static_cast<msg_type>(type), 1, -1), leaders) << type;
        EXPECT_EQ(watch.speaks_as_leader(), leaders) << type;
    }
}

TEST(leader_watch, once_while_it_leads) {
    leader_watch watch;
    EXPECT_FALSE(watch.begins_session(ping_request, 1, -1));
    EXPECT_TRUE(watch.begins_session(append_entries_request, 1, -1));
    EXPECT_FALSE(watch.begins_session(append_entries_request, 1, -1));  // rejected so far
    EXPECT_FALSE(watch.begins_session(append_entries_request, 1, 1));   // now known
    EXPECT_FALSE(watch.begins_session(install_snapshot_request, 1, 1));
}

TEST(leader_watch, again_after_leadership_was_lost) {
    leader_watch watch;
    EXPECT_TRUE(watch.begins_session(append_entries_request, 1, 1));
    EXPECT_FALSE(watch.begins_session(ping_request, 1, 2));  // another leads
    EXPECT_FALSE(watch.speaks_as_leader());
    EXPECT_TRUE(watch.begins_session(append_entries_request, 1, 2));
    EXPECT_FALSE(watch.begins_session(request_vote_request, 1, 2));  // it asks for votes
    EXPECT_TRUE(watch.begins_session(append_entries_request, 1, -1));
}

namespace {
ptr<buffer> frame_of(byte content) {
    ptr<buffer> made = buffer::alloc(1);
    made->put(content);
    return made;
}
ptr<req_msg> any_request() {
    return cs_new<req_msg>(1, ping_request, 1, 2, 0, 0, 0);
}
std::string ready_of(answer_queue& queue) {
    std::string text;
    for (const ptr<buffer>& frame : queue.take_ready())
        text += static_cast<char>(*frame->data_begin());
    return text;
}
}  // namespace

TEST(answer_queue, answers_leave_in_the_order_of_requests) {
    answer_queue queue;
    const uint64_t a = queue.add(any_request(), 0);
    const uint64_t b = queue.add(any_request(), 0);
    const uint64_t c = queue.add(any_request(), 0);
    queue.set_answer(c, frame_of('c'));
    queue.set_answer(b, frame_of('b'));
    EXPECT_EQ(ready_of(queue), "");
    queue.set_answer(a, frame_of('a'));
    EXPECT_EQ(ready_of(queue), "abc");
    queue.set_answer(queue.add(any_request(), 0), frame_of('d'));
    EXPECT_EQ(ready_of(queue), "d");
    EXPECT_EQ(queue.end_reason(), nullptr);
}

TEST(answer_queue, an_end_waits_for_earlier_answers) {
    answer_queue queue;
    const uint64_t a = queue.add(any_request(), 0);
    const uint64_t b = queue.add(any_request(), 0);
    const uint64_t c = queue.add(any_request(), 0);
    queue.set_answer(c, frame_of('c'));
    queue.set_end(b, "nothing for b");
    EXPECT_FALSE(queue.has_room());
    EXPECT_EQ(queue.end_reason(), nullptr);
    queue.set_answer(a, frame_of('a'));
    EXPECT_EQ(ready_of(queue), "a");
    ASSERT_NE(queue.end_reason(), nullptr);
    EXPECT_EQ(*queue.end_reason(), "nothing for b");
    EXPECT_EQ(ready_of(queue), "");  // c's answer never leaves
}

TEST(answer_queue, room_ends_with_requests_or_bytes) {
    answer_queue queue;
    for (size_t i = 0; i < answer_queue::max_requests; ++i) {
        EXPECT_TRUE(queue.has_room());
        queue.add(any_request(), 1);
    }
    EXPECT_FALSE(queue.has_room());
    queue.set_answer(0, frame_of('x'));
    ready_of(queue);
    EXPECT_TRUE(queue.has_room());
    queue.add(any_request(), answer_queue::max_bytes);
    EXPECT_FALSE(queue.has_room());

    answer_queue large;
    const uint64_t only = large.add(any_request(), answer_queue::max_bytes);
    EXPECT_FALSE(large.has_room());
    large.set_answer(only, frame_of('x'));
    ready_of(large);
    EXPECT_TRUE(large.has_room());
}

TEST(answer_once, later_answers_are_ignored_and_none_counts_as_null) {
    std::vector<ptr<resp_msg>> answers;
    const auto record = [&](ptr<resp_msg> resp) { answers.push_back(resp); };
    {
        request_sink::completion done = answer_once(record);
        request_sink::completion copy = done;
        done(cs_new<resp_msg>(1, ping_response, 1, 2));
        copy(nullptr);
    }
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_NE(answers[0], nullptr);
    { request_sink::completion dropped = answer_once(record); }
    ASSERT_EQ(answers.size(), 2u);
    EXPECT_EQ(answers[1], nullptr);
}

}  // namespace transport
}  // namespace nuraft
