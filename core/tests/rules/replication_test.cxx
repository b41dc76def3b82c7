#include "fixture.hxx"

// How a leader gets its entries to the others: Raft 5.3; § 8.2, 11, 13, 17.2.

namespace rules {
namespace {

// § 8.2: a new leader speaks to everybody at once.
TEST(replication, new_leader_asserts_itself) {
    server s;
    s.become_leader();
    EXPECT_EQ(s.sent(3).size(), 1u);
    req_msg& msg = *s.one_to(2).msg;
    EXPECT_EQ(msg.get_type(), msg_type::append_entries_request);
    EXPECT_EQ(msg.get_last_log_idx(), 0u);
    EXPECT_EQ(msg.log_entries().size(), 1u);
    EXPECT_EQ(s.armed(timer_kind::heartbeat, 2), 100);
    EXPECT_EQ(s.armed(timer_kind::heartbeat, 3), 100);
}

// § 17.2: a proposal is stamped, appended and answered in one step.
TEST(replication, proposal_is_stamped_and_appended) {
    server s;
    s.lead();
    const uint64_t last = s.core->last_log_index();
    inputs::proposal p;
    p.number = 7;
    p.entries = {app(0, "a"), app(0, "b")};
    s.step(p);
    ASSERT_EQ(s.out.answers.size(), 1u);
    EXPECT_TRUE(s.out.answers[0].accepted);
    EXPECT_EQ(s.out.answers[0].number, 7u);
    EXPECT_EQ(s.out.answers[0].first_index, last + 1);
    EXPECT_EQ(s.out.answers[0].last_index, last + 2);
    ASSERT_TRUE(s.out.write);
    EXPECT_EQ(s.out.write->entries[1]->get_term(), s.core->term());
    EXPECT_TRUE(s.out.write->from_client);
    EXPECT_EQ(s.out.write->proposal, 7u);
    EXPECT_TRUE(s.out.replicate_wanted);
}

// § 17.2: refused by a follower, and for a term that has passed.
TEST(replication, proposals_are_refused_where_they_must) {
    server follower;
    inputs::proposal p;
    p.entries = {app(0)};
    follower.step(p);
    ASSERT_EQ(follower.out.answers.size(), 1u);
    EXPECT_EQ(follower.out.answers[0].code, cmd_result_code::NOT_LEADER);
    EXPECT_FALSE(follower.out.write);
    server leader;
    leader.lead();
    p.expected_term = leader.core->term() + 1;
    leader.step(p);
    EXPECT_EQ(leader.out.answers[0].code, cmd_result_code::TERM_MISMATCH);
    EXPECT_FALSE(leader.out.write);
    p.expected_term = leader.core->term();
    leader.step(p);
    EXPECT_TRUE(leader.out.answers[0].accepted);
}

// § 37.2, 39.26: one request at a time to a peer; the next one follows the answer.
TEST(replication, one_request_in_flight) {
    server s;
    s.lead();
    s.propose();
    ASSERT_EQ(s.sent(2).size(), 1u);
    const outgoing first = s.one_to(2);
    s.propose();
    EXPECT_TRUE(s.sent(2).empty());
    s.heartbeat(2);
    EXPECT_TRUE(s.sent(2).empty());
    s.accept(first);
    ASSERT_EQ(s.sent(2).size(), 1u);
    EXPECT_EQ(s.one_to(2).msg->log_entries().size(), 1u);
}

// While every peer owes an answer, replicating would send nothing: the caller is not asked to.
TEST(replication, wanted_only_while_a_peer_is_free) {
    server s;
    s.lead();
    s.propose("a");
    const outgoing to_three = s.one_to(3);
    inputs::proposal p;
    p.number = 77;
    p.entries = {app(0, "b")};
    s.step(p);
    EXPECT_FALSE(s.out.replicate_wanted) << "both peers are busy";
    s.store();
    s.accept(to_three);
    const outgoing rest = s.one_to(3);
    EXPECT_EQ(rest.msg->log_entries().size(), 1u) << "it comes with the answer";
    s.accept(rest);
    s.step(p);
    EXPECT_TRUE(s.out.replicate_wanted) << "3 is free";
}

// § 40.18.
TEST(replication, append_size_is_limited) {
    setup one_each;
    one_each.params.max_append_size_ = 1;
    server s(one_each);
    s.lead();
    s.propose("a");
    const outgoing first = s.one_to(2);
    s.propose("b");
    s.propose("c");
    s.accept(first);
    ASSERT_EQ(s.sent(2).size(), 1u);
    EXPECT_EQ(s.one_to(2).msg->log_entries().size(), 1u);
}

// § 13.3: the follower's end is reached in one step.
TEST(replication, refusal_jumps_to_the_followers_end) {
    server s(setup().with_log({1, 1, 1, 1, 1, 1}));
    s.become_leader();
    const outgoing probe = s.one_to(2);
    EXPECT_EQ(probe.msg->get_last_log_idx(), 6u);
    s.answer(probe, s.core->term(), 3, false);
    ASSERT_EQ(s.sent(2).size(), 1u);
    EXPECT_EQ(s.one_to(2).msg->get_last_log_idx(), 2u);
}

// Raft 5.3; B19: without a better hint it goes back by itself, and reaches the start in the end.
TEST(replication, refusals_back_off_to_the_start) {
    server s(setup().with_log({1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
    s.become_leader();
    outgoing probe = s.one_to(2);
    int rounds = 0;
    while (probe.msg->get_last_log_idx() > 0 && rounds < 11) {
        const uint64_t before = probe.msg->get_last_log_idx();
        s.answer(probe, s.core->term(), 99, false);
        ASSERT_EQ(s.sent(2).size(), 1u);
        probe = s.one_to(2);
        EXPECT_LT(probe.msg->get_last_log_idx(), before);
        ++rounds;
    }
    EXPECT_EQ(probe.msg->get_last_log_idx(), 0u);
    EXPECT_LT(rounds, 10) << "faster than one by one";
}

// However many refusals, the leader never stops searching for the follower's position.
TEST(replication, backing_off_never_gets_stuck) {
    setup compacted;
    compacted.with_log(std::vector<uint64_t>(20, 1));
    compacted.log_start = 10;
    compacted.commit = 9;
    compacted.last_snapshot = snapshot_at(9, 1);
    server s(compacted);
    s.become_leader();
    outgoing probe = s.one_to(2);
    for (int rounds = 0; rounds < 300; ++rounds) {
        s.answer(probe, s.core->term(), 1000, false);
        if (!s.out.reads.empty()) {
            s.step(inputs::object_read{s.out.reads[0].transfer, 0, bytes("d"), true});
            s.answer(s.one_to(2), s.core->term(), 1000, false);
        }
        const uint64_t before = probe.msg->get_last_log_idx();
        if (s.sent(2).empty()) s.heartbeat(2);
        if (!s.out.reads.empty()) {
            s.step(inputs::object_read{s.out.reads[0].transfer, 0, bytes("d"), true});
            s.answer(s.one_to(2), s.core->term(), 1000, false);
        }
        if (s.sent(2).empty()) s.heartbeat(2);
        ASSERT_FALSE(s.sent(2).empty());
        probe = s.sent(2).front();
        ASSERT_NE(probe.msg->get_last_log_idx(), before) << "round " << rounds;
    }
}

// § 13.3, 40.20: a declining program's follower is not rewound.
TEST(replication, declined_append_does_not_rewind) {
    server s(setup().with_log({1, 1, 1}));
    s.become_leader();
    const outgoing probe = s.one_to(2);
    ptr<buffer> order = bytes(std::string("\0\1", 2));
    auto resp = cs_new<resp_msg>(s.core->term(), msg_type::append_entries_response, 2, 1, 4, false);
    resp->set_ctx(order);
    resp->set_next_batch_size_hint_in_bytes(-1);
    s.step(inputs::response{probe.number, resp});
    EXPECT_TRUE(s.sent(2).empty()) << "a negative hint: not before the next heartbeat (§ 13.4)";
    s.heartbeat(2);
    ASSERT_EQ(s.sent(2).size(), 1u);
    EXPECT_EQ(s.one_to(2).msg->get_last_log_idx(), probe.msg->get_last_log_idx());
}

// § 13.1, 40.19: a negative hint stops entries, not heartbeats; it recovers with hint 0.
TEST(replication, negative_hint_stops_entries_only) {
    server s;
    s.lead();
    s.propose();
    const outgoing first = s.one_to(2);
    auto resp = cs_new<resp_msg>(s.core->term(), msg_type::append_entries_response, 2, 1,
                                 first.msg->get_last_log_idx() + 2, true);
    resp->set_next_batch_size_hint_in_bytes(-1);
    s.step(inputs::response{first.number, resp});
    s.propose();
    s.heartbeat(2);
    for (const outgoing& o : s.sent(2)) EXPECT_TRUE(o.msg->log_entries().empty());
}

// § 21.2: a leader whose disk fails stops leading.
TEST(replication, leader_with_a_failed_disk_resigns) {
    server s;
    s.lead();
    s.propose();
    s.step(inputs::log_failed{});
    EXPECT_NE(s.core->role(), srv_role::leader);
    EXPECT_FALSE(s.core->leader_alive());
}

// § 11.3: what was sent five times from the same entry on goes out as a single entry, until there
// is progress.
TEST(replication, often_repeated_request_shrinks) {
    server s;
    s.lead();
    s.propose();
    outgoing last = s.one_to(2);
    for (int i = 0; i < 3; ++i) s.propose();
    std::vector<size_t> sizes;
    for (int tries = 0; tries < 7; ++tries) {
        sizes.push_back(last.msg->log_entries().size());
        // It answers that it wants the same again.
        s.answer(last, s.core->term(), last.msg->get_last_log_idx() + 1, true);
        last = s.one_to(2);
    }
    EXPECT_EQ(sizes, (std::vector<size_t>{1, 4, 4, 4, 4, 1, 1}));
    s.accept(last);
    EXPECT_EQ(s.one_to(2).msg->log_entries().size(), 3u);
}

}  // namespace
}  // namespace rules
