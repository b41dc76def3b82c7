#include "fixture.hxx"

// Answers that are late, foreign or wrong must not hurt: B11, B15, B16, B29, B38.

namespace rules {
namespace {

// B16: a follower that claims to hold what was never sent to it commits nothing of it.
TEST(hostile, acknowledgement_beyond_what_was_sent_is_clamped) {
    for (uint64_t claim : {uint64_t{1000}, all_ones, all_ones - 1}) {
        server s;
        s.lead();
        s.propose("sent");
        const outgoing request = s.one_to(2);
        const uint64_t sent = s.core->last_log_index();
        s.propose("not sent");
        s.durable();
        s.answer(request, s.core->term(), claim, true);
        s.answer_question();
        EXPECT_EQ(s.core->role(), srv_role::leader);
        EXPECT_EQ(s.core->commit_index(), sent) << "claim " << claim;
    }
}

// The same with the heartbeat of an idle leader: nothing was sent, nothing is acknowledged.
TEST(hostile, heartbeat_answer_acknowledges_nothing_new) {
    server s;
    s.lead();
    s.heartbeat(2);
    const outgoing beat = s.one_to(2);
    const uint64_t before = s.core->commit_index();
    inputs::proposal p;
    p.entries = {app(0)};
    s.step(p);
    s.persist();
    s.answer(beat, s.core->term(), s.core->last_log_index() + 1, true);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), before);
}

// B16: neither does a refusal with an index from nowhere.
TEST(hostile, refusal_with_an_absurd_index_is_survived) {
    for (uint64_t claim : {uint64_t{0}, uint64_t{1}, uint64_t{1000}, all_ones}) {
        server s(setup().with_log({1, 1, 1}));
        s.become_leader();
        outgoing request = s.one_to(2);
        for (int i = 0; i < 10; ++i) {
            s.answer(request, s.core->term(), claim, false);
            ASSERT_EQ(s.core->role(), srv_role::leader);
            if (s.sent(2).empty()) s.heartbeat(2);
            ASSERT_FALSE(s.sent(2).empty()) << "claim " << claim;
            request = s.one_to(2);
            EXPECT_LE(request.msg->get_last_log_idx(), s.core->last_log_index());
        }
    }
}

// B16: nor the answer to a notification or to a snapshot object.
TEST(hostile, refused_snapshot_with_an_absurd_index_is_survived) {
    setup compacted;
    compacted.with_log({1, 1, 1, 1});
    compacted.log_start = 5;
    compacted.commit = 4;
    compacted.last_snapshot = snapshot_at(4, 1);
    server s(compacted);
    s.become_leader();
    s.answer(s.one_to(2), s.core->term(), 1, false);
    ASSERT_EQ(s.out.reads.size(), 1u);
    s.step(inputs::object_read{s.out.reads.front().transfer, 0, bytes("d"), true});
    ASSERT_EQ(s.sent(2).size(), 1u);
    s.answer(s.one_to(2), s.core->term(), all_ones, false);
    EXPECT_EQ(s.core->role(), srv_role::leader);
    s.heartbeat(2);
    ASSERT_EQ(s.sent(2).size(), 1u);
    EXPECT_LE(s.one_to(2).msg->get_last_log_idx(), s.core->last_log_index());
}

// B15: an answer given to an earlier leadership does not count in this one.
TEST(hostile, answers_of_an_earlier_leadership_do_not_count) {
    server s;
    s.become_leader();
    const outgoing old = s.one_to(2);
    s.persist();
    s.receive(append(s.core->term() + 1, 3, 0, 0, 0));
    s.become_leader();
    s.persist();
    const uint64_t before = s.core->commit_index();
    s.answer(old, old.msg->get_term(), 100, true);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), before);
}

// B11: what a peer had under an earlier leadership is forgotten on election.
TEST(hostile, match_index_starts_from_nothing) {
    server s;
    s.lead();
    s.propose();
    s.settle();
    s.receive(append(s.core->term() + 1, 3, 0, 0, 0));
    ASSERT_EQ(s.core->role(), srv_role::follower);
    s.become_leader();
    for (const peer_view& v : s.core->peers(s.now)) EXPECT_EQ(v.match, 0u) << "peer " << v.id;
}

// B15: answers of a replaced connection are strangers.
TEST(hostile, answers_of_a_replaced_connection_are_ignored) {
    server s;
    s.lead();
    s.propose();
    const outgoing old = s.one_to(2);
    const uint64_t before = s.core->commit_index();
    s.durable();
    s.send_failed(old);
    s.heartbeat(2);
    s.answer(old, s.core->term(), s.core->last_log_index() + 1, true);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), before);
}

// An answer that comes twice, or to nothing, does nothing.
TEST(hostile, repeated_and_invented_answers_are_ignored) {
    server s;
    s.lead();
    s.propose();
    const outgoing request = s.one_to(2);
    s.accept(request);
    s.answer_question();
    s.accept(request);
    EXPECT_TRUE(s.out.send.empty());
    outgoing invented = request;
    invented.number = 123456;
    s.accept(invented);
    EXPECT_TRUE(s.out.send.empty());
    EXPECT_TRUE(s.out.notices.empty());
}

// An answer of the wrong type, or in another's name, is reported and treated as a failure.
TEST(hostile, answer_of_the_wrong_kind_is_reported) {
    server s;
    s.lead();
    s.propose();
    s.step(
        inputs::response{s.one_to(2).number,
                         cs_new<resp_msg>(s.core->term(), msg_type::ping_response, 2, 1, 5, true)});
    EXPECT_TRUE(s.noticed(notice::bad_message));
    EXPECT_EQ(s.core->role(), srv_role::leader);
    s.heartbeat(2);
    const uint64_t before = s.core->commit_index();
    s.step(inputs::response{
        s.one_to(2).number,
        cs_new<resp_msg>(s.core->term(), msg_type::append_entries_response, 3, 1, 99, true)});
    EXPECT_TRUE(s.noticed(notice::bad_message));
    EXPECT_EQ(s.core->commit_index(), before);
}

// § 3.4: requests of unknown type get no answer; a ping gets one and has no effect.
TEST(hostile, unknown_requests_are_dropped) {
    server s(setup().in_term(3));
    s.receive(cs_new<req_msg>(9, msg_type::other_request, 2, 1, 0, 0, 0));
    EXPECT_TRUE(s.dropped());
    s.receive(cs_new<req_msg>(9, msg_type::append_entries_response, 2, 1, 0, 0, 0));
    EXPECT_TRUE(s.dropped());
    s.receive(cs_new<req_msg>(9, msg_type::ping_request, 2, 1, 0, 0, 0));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.core->term(), 3u) << "a ping carries no authority";
}

// § 3.4: notifications that are empty or unknown are accepted without effect, short ones dropped.
TEST(hostile, odd_notifications_do_nothing) {
    server s(setup().in_term(3));
    s.receive(cs_new<req_msg>(3, msg_type::custom_notification_request, 2, 1, 0, 0, 0));
    EXPECT_TRUE(s.reply().get_accepted());
    s.receive(notification(3, 2, 77));
    EXPECT_TRUE(s.reply().get_accepted());
    auto cut = cs_new<req_msg>(3, msg_type::custom_notification_request, 2, 1, 0, 0, 0);
    cut->log_entries().push_back(cs_new<log_entry>(0, bytes("a"), log_val_type::custom));
    s.receive(cut);
    EXPECT_TRUE(s.dropped());
    EXPECT_TRUE(s.noticed(notice::bad_message)) << "the log says why";
    auto boasting = notification(3, 2, 2);
    boasting->log_entries().front()->get_buf().data_begin()[2] = 1;  // a byte that is not there
    s.receive(boasting);
    EXPECT_TRUE(s.dropped());
    s.receive(notification(3, 2, 1, bytes("12345678")));  // one byte short
    EXPECT_TRUE(s.dropped());
    EXPECT_FALSE(s.noticed(notice::out_of_log_range));
    EXPECT_EQ(s.core->role(), srv_role::follower);
}

// B37: only members can make a server take over; and not from an older term.
TEST(hostile, takeover_by_a_stranger_is_ignored) {
    server s(setup().in_term(3));
    s.receive(notification(3, 9, 2));
    EXPECT_EQ(s.core->term(), 3u);
    s.receive(notification(2, 2, 2));
    EXPECT_EQ(s.core->term(), 3u);
    s.receive(notification(3, 2, 2));
    EXPECT_EQ(s.core->term(), 4u);
}

// A term that no other can follow would wrap around at the next election, and old votes and logs
// would count again. Nothing of such a request is believed.
TEST(hostile, a_term_that_would_wrap_around_is_refused) {
    for (uint64_t lie : {all_ones, all_ones - 1, largest_number + 1}) {
        server s(setup().in_term(3));
        for (const ptr<req_msg>& msg :
             {append(lie, 2, 0, 0, 0), vote(lie, 2, 0, 0),
              notification(lie, 2, 1, bytes("123456789")), notification(lie, 2, 2),
              install(lie, 2, snapshot_at(5, 3), 0, false), join(lie, 2, config_of({2})),
              append(3, 2, lie, 3, 0)}) {
            s.receive(msg);
            EXPECT_TRUE(s.dropped()) << msg_type_to_string(msg->get_type());
            EXPECT_TRUE(s.noticed(notice::bad_message));
            EXPECT_EQ(s.core->term(), 3u);
        }
    }
    server s(setup().in_term(3));
    s.receive(append(largest_number, 2, 0, 0, 0));
    EXPECT_EQ(s.core->term(), largest_number);
}

TEST(hostile, an_answer_whose_term_would_wrap_around_is_an_error) {
    server s(setup().in_term(3));
    s.election_timeout();
    s.answer(s.one_to(2), all_ones, 1, false);
    EXPECT_TRUE(s.noticed(notice::bad_message));
    EXPECT_EQ(s.core->term(), 3u);
}

TEST(hostile, a_snapshot_at_the_end_of_all_numbers_is_refused) {
    server s(setup().in_term(3));
    auto msg = install(3, 2, snapshot_at(5, 3), 0, true);
    msg->log_entries() = install(3, 2, snapshot_at(all_ones, 3), 0, true)->log_entries();
    s.receive(msg);
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_TRUE(s.out.saves.empty());
}

// Wire section 9, 1: some leaders stop when a follower claims to be ahead of them.
TEST(hostile, answers_claim_no_slot_beyond_the_leaders_log) {
    server s(setup().with_log({1, 1, 1, 1, 1}));
    auto told = notification(1, 2, 77);
    s.receive(told);
    EXPECT_EQ(s.reply().get_next_idx(), 1u) << "the sender's log is empty";
    s.receive(install(0, 2, snapshot_at(2, 0), 0, true));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.reply().get_next_idx(), 3u) << "the sender's log reaches 2";
    s.receive(install(0, 2, snapshot_at(9, 0), 0, true));
    EXPECT_EQ(s.reply().get_next_idx(), 6u) << "our own ends at 5";
}

// A leader's entry that cannot be read is refused before anything of the request is stored.
TEST(hostile, a_configuration_that_cannot_be_read_is_refused) {
    server s;
    auto broken = cs_new<log_entry>(1, bytes("no configuration"), log_val_type::conf);
    s.receive(append(1, 2, 0, 0, 0, {app(1), broken}));
    EXPECT_TRUE(s.dropped());
    EXPECT_TRUE(s.noticed(notice::bad_message));
    EXPECT_FALSE(s.out.write);
    EXPECT_EQ(s.core->last_log_index(), 0u);
}

// Determinism: the same seed, inputs and times give the same effects.
TEST(hostile, same_inputs_give_the_same_effects) {
    std::vector<int32_t> delays[2];
    for (std::vector<int32_t>& drawn : delays) {
        server s;
        for (int i = 0; i < 10; ++i) {
            s.receive(append(1, 2, 0, 0, 0));
            drawn.push_back(s.armed(timer_kind::election));
        }
    }
    EXPECT_EQ(delays[0], delays[1]);
}

}  // namespace
}  // namespace rules
