#include "fixture.hxx"

// Several requests to one peer under way: § 14.

namespace rules {
namespace {

// § 14: with acknowledged entries a stream starts, and several requests are under way.
TEST(streaming, streaming_sends_ahead_of_answers) {
    server s(setup().with_stream(10));
    s.lead();
    uint64_t expected = s.core->last_log_index();
    std::vector<outgoing> in_flight;
    for (int i = 0; i < 4; ++i) {
        s.propose();
        for (const outgoing& o : s.sent(2)) in_flight.push_back(o);
    }
    ASSERT_EQ(in_flight.size(), 4u);
    for (const outgoing& o : in_flight) {
        EXPECT_EQ(o.msg->get_last_log_idx(), expected) << "contiguous and in order (§ 39.27)";
        expected += o.msg->log_entries().size();
    }
}

// § 14.2: the window limits what is unanswered; draining opens it again.
TEST(streaming, streaming_window_is_respected) {
    server s(setup().with_stream(3));
    s.lead();
    std::vector<outgoing> in_flight;
    for (int i = 0; i < 8; ++i) {
        s.propose();
        for (const outgoing& o : s.sent(2)) in_flight.push_back(o);
    }
    EXPECT_LE(in_flight.size(), 3u);
    ASSERT_FALSE(in_flight.empty());
    s.accept(in_flight.front());
    EXPECT_FALSE(s.sent(2).empty());
}

// A follower whose disk is slow must not take its leader for dead: the heartbeat goes behind what
// is not answered yet, and vouches for no more than the request before it.
TEST(streaming, unanswered_entries_do_not_silence_a_streaming_leader) {
    server full(setup().with_stream(3));
    full.lead();
    for (int i = 0; i < 8; ++i) full.propose();
    server busy(setup().with_stream(3));
    busy.become_leader();
    for (server* s : {&full, &busy}) {
        s->heartbeat(2);
        const outgoing life = s->one_to(2);
        EXPECT_EQ(life.msg->get_type(), msg_type::append_entries_request);
        EXPECT_TRUE(life.msg->log_entries().empty());
        EXPECT_LT(life.msg->get_last_log_idx(), s->core->last_log_index());
    }
    // Only a stream takes a second request.
    server plain;
    plain.become_leader();
    plain.heartbeat(2);
    EXPECT_TRUE(plain.sent(2).empty());
}

// § 14.2: so does the cap on bytes.
TEST(streaming, streaming_bytes_are_capped) {
    setup capped = setup().with_stream(100);
    capped.params.max_bytes_in_flight_in_stream_ = 10;
    server s(capped);
    s.lead();
    size_t in_flight = 0;
    for (int i = 0; i < 8; ++i) {
        s.propose("123456");
        in_flight += s.sent(2).size();
    }
    EXPECT_EQ(in_flight, 2u) << "the cap may be overshot by one request";
}

// § 14.3: a refusal ends the stream; its successors' refusals do no harm.
TEST(streaming, refusal_ends_the_stream) {
    server s(setup().with_stream(10));
    s.lead();
    for (int i = 0; i < 3; ++i) {
        s.propose();
        s.settle();
    }
    std::vector<outgoing> in_flight;
    for (int i = 0; i < 3; ++i) {
        s.propose();
        for (const outgoing& o : s.sent(2)) in_flight.push_back(o);
    }
    ASSERT_EQ(in_flight.size(), 3u);
    const uint64_t end = in_flight[0].msg->get_last_log_idx() - 1;
    s.answer(in_flight[0], s.core->term(), end, false);
    ASSERT_EQ(s.sent(2).size(), 1u);
    EXPECT_EQ(s.one_to(2).msg->get_last_log_idx(), end - 1);
    s.answer(in_flight[1], s.core->term(), end, false);
    EXPECT_TRUE(s.sent(2).empty());
    s.answer(in_flight[2], s.core->term(), end, false);
    EXPECT_TRUE(s.sent(2).empty()) << "one request at a time until entries are acknowledged";
}

// § 14.3, 40.25: streaming can be switched off while requests are under way.
TEST(streaming, streaming_can_be_switched_off) {
    server s(setup().with_stream(10));
    s.lead();
    std::vector<outgoing> in_flight;
    for (int i = 0; i < 3; ++i) {
        s.propose();
        for (const outgoing& o : s.sent(2)) in_flight.push_back(o);
    }
    inputs::settings_changed change;
    change.to.params = setup().params;
    s.step(change);
    for (const outgoing& o : in_flight) s.accept(o);
    s.propose();
    ASSERT_LE(s.sent(2).size(), 1u);
    s.propose();
    EXPECT_TRUE(s.sent(2).empty());
}

}  // namespace
}  // namespace rules
