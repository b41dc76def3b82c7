#include "fixture.hxx"

// The leader's side of replication and the commit rule: Raft 5.3, 5.4.2; § 10, 11, 13-15, 17.2.

namespace rules {
namespace {

setup streaming(int32_t gap) {
    setup s;
    s.params.max_log_gap_in_stream_ = gap;
    return s;
}

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

// § 10.1: a heartbeat is an append, empty when there is nothing to say.
TEST(replication, heartbeat_is_an_empty_append) {
    server s;
    s.lead();
    s.heartbeat(3);
    ASSERT_EQ(s.sent(3).size(), 1u);
    req_msg& msg = *s.one_to(3).msg;
    EXPECT_TRUE(msg.log_entries().empty());
    EXPECT_EQ(msg.get_commit_idx(), s.core->commit_index());
    EXPECT_EQ(s.armed(timer_kind::heartbeat, 3), 100) << "always again (B14)";
}

// Raft 5.3: committed when a majority has it on disk, ours included only when ours is.
TEST(replication, majority_commits) {
    server s;
    s.lead();
    s.propose();
    const uint64_t index = s.core->last_log_index();
    const outgoing to_two = s.one_to(2);
    s.durable();
    EXPECT_LT(s.core->commit_index(), index) << "one of three";
    s.accept(to_two);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), index);
}

// § 21.2: other servers may be faster than the leader's own disk.
TEST(replication, majority_without_the_leaders_disk_commits) {
    server s;
    s.lead();
    s.propose();
    const uint64_t index = s.core->last_log_index();
    const outgoing to_two = s.one_to(2);
    const outgoing to_three = s.one_to(3);
    s.accept(to_two);
    s.answer_question();
    EXPECT_LT(s.core->commit_index(), index) << "one of three: ours is not durable";
    s.accept(to_three);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), index);
}

// Raft 5.4.2, figure 8; B13: entries of earlier terms commit only with one of the own term.
TEST(replication, earlier_terms_do_not_commit_by_counting) {
    setup figure_8;
    figure_8.params.max_append_size_ = 1;
    server s(figure_8.with_log({1, 2}).in_term(3));
    s.become_leader();
    ASSERT_EQ(s.core->term(), 4u);
    const std::vector<outgoing> first = s.sent(2);
    s.persist();
    // The follower has entry 2 of term 2, and not yet the leader's own entry 3.
    s.answer(first.front(), 4, 2, false);
    ASSERT_EQ(s.sent(2).size(), 1u);
    s.accept(s.one_to(2));
    EXPECT_FALSE(s.out.question) << "entry 2 is on a majority, but of an earlier term";
    EXPECT_EQ(s.core->commit_index(), 0u);
    ASSERT_EQ(s.sent(2).size(), 1u);
    s.accept(s.one_to(2));
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), 3u);
}

// § 15.2, B20: the program may hold a commit back, and cannot run ahead of the quorum.
TEST(replication, program_may_hold_a_commit_back_only) {
    server s;
    s.lead();
    s.propose("a");
    const outgoing to_two = s.one_to(2);
    s.propose("b");
    s.durable();
    const uint64_t before = s.core->commit_index();
    s.accept(to_two);
    ASSERT_TRUE(s.out.question);
    EXPECT_EQ(s.out.question->current, before);
    EXPECT_EQ(s.out.question->expected, before + 1);
    EXPECT_EQ(s.out.question->indexes.size(), 3u);
    s.step(inputs::commit_answer{before + 2});
    EXPECT_LE(s.core->commit_index(), before + 1) << "entry b is on one server of three";
    server t;
    t.lead();
    t.propose("a");
    const outgoing also = t.one_to(2);
    t.durable();
    t.accept(also);
    ASSERT_TRUE(t.out.question);
    t.step(inputs::commit_answer{t.out.question->current});
    EXPECT_EQ(t.core->commit_index(), before);
}

// § 15.4: followers hear of a commit at once, not at the next heartbeat.
TEST(replication, commit_is_announced_promptly) {
    server s;
    s.lead();
    s.propose();
    const outgoing to_two = s.one_to(2);
    const outgoing to_three = s.one_to(3);
    s.durable();
    s.accept(to_two);
    s.answer_question();
    ASSERT_EQ(s.sent(2).size(), 1u);
    EXPECT_EQ(s.one_to(2).msg->get_commit_idx(), s.core->commit_index());
    EXPECT_TRUE(s.sent(3).empty()) << "busy";
    s.accept(to_three);
    ASSERT_EQ(s.sent(3).size(), 1u) << "told as soon as it is free";
    EXPECT_EQ(s.one_to(3).msg->get_commit_idx(), s.core->commit_index());
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

// § 40.21: a lost answer leads to the same entries again.
TEST(replication, lost_request_is_sent_again) {
    server s;
    s.lead();
    s.propose();
    const outgoing first = s.one_to(2);
    s.send_failed(first);
    s.heartbeat(2);
    bool replaced = false;
    for (const connection_change& c : s.out.connections) {
        replaced = replaced || (c.peer == 2 && c.what == connection_change::replace);
    }
    EXPECT_TRUE(replaced) << "a failed request costs its connection (§ 10.4)";
    ASSERT_EQ(s.sent(2).size(), 1u);
    const outgoing probe = s.one_to(2);
    // The position is probed anew from the leader's end (§ 10.4), and the follower's refusal
    // brings the entry again.
    s.answer(probe, s.core->term(), first.msg->get_last_log_idx() + 1, false);
    ASSERT_EQ(s.sent(2).size(), 1u);
    EXPECT_EQ(s.one_to(2).msg->get_last_log_idx(), first.msg->get_last_log_idx());
    EXPECT_EQ(s.one_to(2).msg->log_entries().size(), 1u);
}

// § 10.2: failures slow a peer's heartbeats down to a limit; an answer restores them.
TEST(replication, failing_peer_is_bothered_less) {
    server s;
    s.lead();
    int32_t slowest = 0;
    for (int i = 0; i < 10; ++i) {
        s.heartbeat(2);
        slowest = std::max(slowest, s.armed(timer_kind::heartbeat, 2));
        for (const outgoing& o : s.sent(2)) s.send_failed(o);
    }
    EXPECT_EQ(slowest, 150) << "max(100, 200 - 100 / 2)";
    s.now += 200;
    s.heartbeat(2);
    ASSERT_EQ(s.sent(2).size(), 1u);
    s.accept(s.one_to(2));
    s.heartbeat(2);
    EXPECT_EQ(s.armed(timer_kind::heartbeat, 2), 100);
}

// § 10.5: twenty failures in a row are reported, once.
TEST(replication, lost_peer_is_reported_once) {
    server s;
    s.lead();
    int reports = 0;
    for (int i = 0; i < 60; ++i) {
        s.heartbeat(2);
        const std::vector<outgoing> sent = s.sent(2);
        for (const outgoing& o : sent) {
            s.send_failed(o);
            reports += s.noticed(notice::follower_lost) ? 1 : 0;
        }
        s.heartbeat(3);
        for (const outgoing& o : s.sent(3)) s.accept(o);
    }
    EXPECT_EQ(reports, 1);
}

// § 10.4: a connection that says nothing for long is replaced, even if nothing failed on it.
TEST(replication, mute_connection_is_replaced) {
    for (int32_t gap : {0, 50}) {
        server s(streaming(gap));
        s.lead();
        s.propose();
        bool replaced = false;
        for (int i = 0; i < 60 && !replaced; ++i) {
            s.heartbeat(2);
            for (const connection_change& c : s.out.connections) {
                replaced = replaced || (c.peer == 2 && c.what == connection_change::replace);
            }
        }
        EXPECT_TRUE(replaced) << "streaming window " << gap;
    }
}

// § 14: with acknowledged entries a stream starts, and several requests are under way.
TEST(replication, streaming_sends_ahead_of_answers) {
    server s(streaming(10));
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
TEST(replication, streaming_window_is_respected) {
    server s(streaming(3));
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
TEST(replication, unanswered_entries_do_not_silence_a_streaming_leader) {
    server full(streaming(3));
    full.lead();
    for (int i = 0; i < 8; ++i) full.propose();
    server busy(streaming(3));
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
TEST(replication, streaming_bytes_are_capped) {
    setup capped = streaming(100);
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
TEST(replication, refusal_ends_the_stream) {
    server s(streaming(10));
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
TEST(replication, streaming_can_be_switched_off) {
    server s(streaming(10));
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

// B41: only a leader commits by counting, whatever its quorum.
TEST(replication, follower_with_quorum_of_one_commits_nothing) {
    setup one;
    one.params.custom_commit_quorum_size_ = 1;
    server s(one.with_log({1, 1}));
    s.step(inputs::log_durable{2, 0});
    s.step(inputs::replicate{});
    EXPECT_EQ(s.core->commit_index(), 0u);
    EXPECT_FALSE(s.out.question);
}

// § 40.22.
TEST(replication, commit_quorum_of_one_commits_alone) {
    setup one;
    one.config = config_of({1, 2});
    one.params.custom_commit_quorum_size_ = 1;
    server s(one);
    s.become_leader();
    s.persist();
    EXPECT_EQ(s.core->commit_index(), 1u);
}

// § 39.18: learners hold copies, but nothing is committed by them.
TEST(replication, learners_do_not_count) {
    setup learners;
    learners.config = config_of({1, 2, 3});
    learners.config->get_server(3)->set_learner(true);
    server s(learners);
    s.become_leader();
    const outgoing to_voter = s.one_to(2);
    const outgoing to_learner = s.one_to(3);
    s.persist();
    s.accept(to_learner);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), 0u);
    s.accept(to_voter);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), 1u);
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

// § 1.1, B1: changed settings reach peers that were slowed down under the old ones.
TEST(replication, new_settings_reach_peers) {
    server s;
    s.lead();
    s.heartbeat(2);
    s.send_failed(s.one_to(2));
    s.heartbeat(2);
    ASSERT_EQ(s.armed(timer_kind::heartbeat, 2), 150);
    const outgoing again = s.one_to(2);
    settings faster;
    faster.params = setup().params;
    faster.params.heart_beat_interval_ = 40;
    faster.params.rpc_failure_backoff_ = 7;
    s.step(inputs::settings_changed{faster});
    s.heartbeat(2);
    EXPECT_EQ(s.armed(timer_kind::heartbeat, 2), 40);
    s.send_failed(again);
    s.heartbeat(2);
    EXPECT_EQ(s.armed(timer_kind::heartbeat, 2), 47);
}

// For tests of programs: connections are replaced without a growing delay, and no change of
// settings ends that.
TEST(replication, reconnects_at_once_while_it_is_told_to) {
    auto replaced = [](bool at_once) {
        const setup with;
        server s(with);
        s.lead();
        s.step(inputs::reconnect_at_once{at_once});
        s.step(inputs::settings_changed{{with.id, with.params, with.limits}});
        int count = 0;
        for (int round = 0; round < 5; ++round) {  // All in the same millisecond.
            s.step(inputs::timer_fired{timer_kind::heartbeat, 2});
            for (const connection_change& c : s.out.connections) {
                count += c.what == connection_change::replace ? 1 : 0;
            }
            if (!s.sent(2).empty()) s.send_failed(s.one_to(2));
        }
        return count;
    };
    EXPECT_EQ(replaced(true), 4);
    EXPECT_EQ(replaced(false), 2);
}

}  // namespace
}  // namespace rules
