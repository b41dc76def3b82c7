#include "fixture.hxx"

// The small payloads that the protocol itself writes: wire 4.8-4.10, and the vectors TV-O16 to
// TV-O19 of section 8.

namespace rules {
namespace {

std::string hex_of(const buffer& b) {
    static const char digits[] = "0123456789abcdef";
    std::string hex;
    for (size_t i = 0; i < b.size(); ++i) {
        hex += digits[b.data_begin()[i] >> 4];
        hex += digits[b.data_begin()[i] & 15];
    }
    return hex;
}

std::string body_of(const outgoing& request) {
    EXPECT_EQ(request.msg->log_entries().size(), 1u);
    return hex_of(request.msg->log_entries().at(0)->get_buf());
}

TEST(bodies, o16_and_o17_out_of_log_range) {
    setup cut;
    cut.log_start = 42;
    server s(cut.with_log(std::vector<uint64_t>(44, 1)));
    s.become_leader();
    s.answer(s.one_to(2), s.core->term(), 1, false);
    EXPECT_EQ(body_of(s.one_to(2)), "000109000000002a00000000000000");
}

TEST(bodies, o18_leadership_takeover) {
    server s;
    s.lead();
    s.propose();
    const outgoing last = s.one_to(2);
    s.durable();
    s.step(inputs::yield{false, 2});
    s.accept(last);
    s.answer_question();
    s.accept(s.one_to(2));
    EXPECT_EQ(body_of(s.one_to(2)), "000200000000");
}

TEST(bodies, o19_request_resignation) {
    server s;
    s.receive(append(1, 2, 0, 0, 0));
    s.step(inputs::request_leadership{});
    EXPECT_EQ(body_of(s.one_to(2)), "000300000000");
}

TEST(bodies, forced_vote) {
    server s(setup().in_term(1));
    s.receive(notification(1, 2, 2));
    for (const outgoing& o : s.sent(msg_type::request_vote_request)) EXPECT_EQ(body_of(o), "00");
    EXPECT_EQ(s.sent(msg_type::request_vote_request).size(), 2u);
}

TEST(bodies, appendix_of_a_declined_append) {
    server s;
    s.receive(append(1, 2, 0, 0, 0), true);
    EXPECT_EQ(hex_of(*s.reply().get_ctx()), "0001");
}

TEST(bodies, appendix_while_a_snapshot_is_received) {
    server s;
    s.receive(install(1, 2, snapshot_at(10, 1), 0, false));
    s.step(inputs::object_saved{s.last_request(), true, 1, false});
    s.receive(append(1, 2, 0, 0, 0));
    EXPECT_EQ(hex_of(*s.reply().get_ctx()), "0002");
}

TEST(bodies, end_of_a_snapshot) {
    server s;
    s.receive(install(1, 2, snapshot_at(10, 1), 0, true));
    s.log.compact(10);
    s.step(inputs::object_saved{s.last_request(), true, 1, true});
    EXPECT_EQ(hex_of(*s.reply().get_ctx()), "00");
}

TEST(bodies, priority_change) {
    server s;
    inputs::set_priority in;
    in.server = 3;
    in.priority = 50;
    in.broadcast_always = true;
    s.step(in);
    EXPECT_EQ(body_of(s.one_to(2)), "0300000032000000");
}

}  // namespace
}  // namespace rules
