#include "fixture.hxx"
#include "protocol/append_appendix.hxx"

// How far state machines are: § 7.1, 8.3, 13.2, 15.4, 19.6.

namespace rules {
namespace {

ptr<buffer> report_of(uint64_t applied) {
    append_appendix a;
    a.what = append_appendix::applied_index;
    a.applied = applied;
    return a.serialize();
}

setup tracking() {
    setup s;
    s.params.track_peers_sm_commit_idx_ = true;
    return s;
}

/// `peer` accepts the only append to it and says how far its state machine is.
const effects& accept_applied(server& s, const outgoing& append, uint64_t applied) {
    req_msg& msg = *append.msg;
    return s.answer(append, msg.get_term(), msg.get_last_log_idx() + msg.log_entries().size() + 1,
                    true, report_of(applied));
}

uint64_t applied_of(server& s, int32_t peer) {
    for (const peer_view& v : s.core->peers(s.now)) {
        if (v.id == peer) return v.applied;
    }
    return 0;
}

// Wire 4.8.
TEST(machine_progress, appendix_is_laid_out_as_agreed) {
    const ptr<buffer> packed = report_of(2);
    const std::string expected("\x00\x03\x02\x00\x00\x00\x00\x00\x00\x00", 10);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(packed->data_begin()), packed->size()),
              expected);
    EXPECT_EQ(append_appendix::deserialize(packed).applied, 2u);
    EXPECT_EQ(append_appendix::deserialize(nullptr).what, append_appendix::none);
    EXPECT_EQ(append_appendix::deserialize(bytes(std::string("\x01\x03", 2))).what,
              append_appendix::none)
        << "another version";
    const append_appendix cut = append_appendix::deserialize(bytes(std::string("\x00\x03\x02", 3)));
    EXPECT_EQ(cut.what, append_appendix::applied_index);
    EXPECT_EQ(cut.applied, 0u);
    EXPECT_EQ(append_appendix::deserialize(bytes(std::string("\x00\x09", 2))).what,
              append_appendix::none);
}

// § 12.5, 19.6: followers report in accepted answers; never more than is committed here.
TEST(machine_progress, follower_reports_what_it_applied) {
    setup s = tracking();
    s.with_log({1, 1, 1});
    server follower(s);
    follower.receive(append(1, 2, 3, 1, 2));
    EXPECT_EQ(append_appendix::deserialize(follower.reply().get_ctx()).applied, 0u);
    follower.step(inputs::applied{2});
    follower.receive(append(1, 2, 3, 1, 2));
    EXPECT_EQ(append_appendix::deserialize(follower.reply().get_ctx()).applied, 2u);
    follower.step(inputs::applied{3});
    follower.receive(append(1, 2, 3, 1, 2));
    EXPECT_EQ(append_appendix::deserialize(follower.reply().get_ctx()).applied, 2u);

    server silent;
    silent.receive(append(1, 2, 0, 0, 0));
    EXPECT_FALSE(silent.reply().get_ctx());
}

// § 19.6, 22.3: the leader shows what is reported; 0 when it does not track.
TEST(machine_progress, leader_knows_what_others_applied) {
    server s(tracking());
    s.lead();
    s.heartbeat(2);
    accept_applied(s, s.one_to(2), 1);
    EXPECT_EQ(applied_of(s, 2), 1u);
    EXPECT_EQ(applied_of(s, 3), 0u);

    server blind;
    blind.lead();
    blind.heartbeat(2);
    accept_applied(blind, blind.one_to(2), 1);
    EXPECT_EQ(applied_of(blind, 2), 0u);
}

// § 19.6: results wait for the slowest of the healthy members that report.
TEST(machine_progress, results_wait_for_the_slowest) {
    server s(tracking());
    EXPECT_EQ(s.core->deliverable_index(), 0u) << "not leader";
    s.lead();
    s.propose();
    const uint64_t index = s.core->last_log_index();
    const outgoing to_two = s.one_to(2), to_three = s.one_to(3);
    s.durable();
    accept_applied(s, to_two, index - 1);
    s.answer_question();
    ASSERT_EQ(s.core->commit_index(), index);
    const outgoing announcement = s.one_to(2);
    accept_applied(s, to_three, index);
    EXPECT_EQ(s.core->deliverable_index(), index - 1);
    accept_applied(s, announcement, index);
    EXPECT_EQ(s.core->deliverable_index(), index);

    server plain;
    EXPECT_EQ(plain.core->deliverable_index(), all_ones);
}

// § 19.6: an excluded member holds no result back; nor does one that is marked down.
TEST(machine_progress, results_do_not_wait_for_the_excluded) {
    server s(tracking());
    s.lead();
    s.heartbeat(2);
    accept_applied(s, s.one_to(2), 1);
    s.heartbeat(3);
    accept_applied(s, s.one_to(3), 2);
    EXPECT_EQ(s.core->deliverable_index(), 1u);
    for (int beats = 0; beats < 5; ++beats) {
        s.heartbeat(3);
        accept_applied(s, s.one_to(3), 2);
    }
    EXPECT_EQ(s.core->deliverable_index(), 2u) << "2 is silent";
}

// § 19.6: a custom commit quorum takes its place in the list, this server included.
TEST(machine_progress, custom_quorum_takes_its_place_in_the_list) {
    setup custom = tracking();
    custom.params.custom_commit_quorum_size_ = 2;
    server s(custom);
    s.lead();
    s.heartbeat(2);
    accept_applied(s, s.one_to(2), 1);
    s.heartbeat(3);
    accept_applied(s, s.one_to(3), 2);
    EXPECT_EQ(s.core->deliverable_index(), 2u) << "the second of: this server, 3, 2";
}

// § 13.2: a member that lags is asked again, at once while it gets on, and ever more rarely.
TEST(machine_progress, lagging_member_is_asked_again) {
    server s(tracking());
    s.lead();
    s.propose();
    const uint64_t index = s.core->last_log_index();
    const outgoing to_two = s.one_to(2), to_three = s.one_to(3);
    s.durable();
    accept_applied(s, to_three, index - 1);
    s.answer_question();
    ASSERT_EQ(s.core->commit_index(), index);
    accept_applied(s, to_two, index - 1);
    accept_applied(s, s.one_to(2), index - 1);  // The announcement of the commit.
    std::vector<int32_t> waits;
    for (int rounds = 0; rounds < 12 && s.armed(timer_kind::progress, 2) < 0; ++rounds) {
        accept_applied(s, s.one_to(2), index - 1);
    }
    for (int rounds = 0; rounds < 9; ++rounds) {
        waits.push_back(s.armed(timer_kind::progress, 2));
        EXPECT_TRUE(s.sent(2).empty());
        s.step(inputs::timer_fired{timer_kind::progress, 2});
        accept_applied(s, s.one_to(2), index - 1);
    }
    EXPECT_EQ(waits, (std::vector<int32_t>{1, 2, 4, 8, 16, 32, 64, 100, 100}));
    s.step(inputs::timer_fired{timer_kind::progress, 2});
    accept_applied(s, s.one_to(2), index);
    EXPECT_TRUE(s.sent(2).empty());
    EXPECT_EQ(s.armed(timer_kind::progress, 2), -2) << "it is there";

    s.propose();
    const outgoing next = s.one_to(2);
    s.durable();
    accept_applied(s, next, index);
    s.answer_question();
    accept_applied(s, s.one_to(2), index);
    accept_applied(s, s.one_to(2), index);
    EXPECT_EQ(s.armed(timer_kind::progress, 2), 1) << "patience starts anew";
}

// § 15.4: who has applied the new commit index already needs no announcement.
TEST(machine_progress, commit_is_not_announced_to_those_who_applied_it) {
    server s(tracking());
    s.lead();
    s.propose();
    const uint64_t index = s.core->last_log_index();
    const outgoing to_two = s.one_to(2), to_three = s.one_to(3);
    s.durable();
    accept_applied(s, to_three, index);  // It heard of the commit elsewhere.
    s.answer_question();
    ASSERT_EQ(s.core->commit_index(), index);
    EXPECT_TRUE(s.sent(3).empty());
    accept_applied(s, to_two, index - 1);
    EXPECT_FALSE(s.sent(2).empty());
}

setup waiting() {
    setup s;
    s.params.wait_for_sm_catchup_on_becoming_leader_ = true;
    s.with_log({1, 1, 1}).commit = 1;
    return s;
}

// § 8.3, 40.14: leadership is announced once the state machine is at the entry before the
// leader's first.
TEST(machine_progress, leader_waits_for_its_state_machine) {
    server s(waiting());
    s.become_leader();
    EXPECT_TRUE(s.noticed(notice::leader_catching_up));
    EXPECT_FALSE(s.noticed(notice::became_leader));
    EXPECT_TRUE(s.core->awaits_own_machine());
    ASSERT_EQ(s.core->index_at_becoming_leader(), 4u);
    s.propose();
    EXPECT_EQ(s.core->last_log_index(), 5u) << "clients' entries are taken";
    s.step(inputs::applied{2});
    EXPECT_TRUE(s.core->awaits_own_machine());
    s.step(inputs::applied{3});
    EXPECT_TRUE(s.noticed(notice::became_leader));
    EXPECT_FALSE(s.core->awaits_own_machine());
    s.step(inputs::applied{4});
    EXPECT_FALSE(s.noticed(notice::became_leader)) << "once";
}

// § 8.3: whose state machine is there already does not wait; nor does anybody without the option.
TEST(machine_progress, no_wait_without_need) {
    setup there = waiting();
    there.commit = 3;
    setup plain = waiting();
    plain.params.wait_for_sm_catchup_on_becoming_leader_ = false;
    for (const setup& kind : {there, plain}) {
        server s(kind);
        s.become_leader();
        EXPECT_TRUE(s.noticed(notice::became_leader));
        EXPECT_FALSE(s.noticed(notice::leader_catching_up));
    }
}

// § 8.3: leadership that is lost meanwhile is never announced.
TEST(machine_progress, losing_leadership_ends_the_wait) {
    server s(waiting());
    s.become_leader();
    s.receive(append(9, 2, 0, 0, 0));
    ASSERT_EQ(s.core->role(), srv_role::follower);
    s.step(inputs::applied{3});
    EXPECT_FALSE(s.noticed(notice::became_leader));
    EXPECT_FALSE(s.core->awaits_own_machine());
}

setup with_grace() {
    setup s;
    s.params.grace_period_of_lagging_state_machine_ = 1000;
    s.with_log({1, 1, 1}).commit = 1;
    return s;
}

/// Times out, and the others see no leader. True: that led to a candidacy.
bool campaigns(server& s) {
    const uint64_t before = s.core->term();
    s.election_timeout();
    std::vector<outgoing> votes = s.sent(msg_type::request_vote_request);
    for (const outgoing& o : s.sent(msg_type::pre_vote_request)) {
        s.answer(o, before, 1, true);
        for (const outgoing& v : s.sent(msg_type::request_vote_request)) votes.push_back(v);
    }
    if (s.core->term() == before) return false;
    for (const outgoing& o : votes) s.answer(o, s.core->term(), 0, false);
    return true;
}

// § 7.1, 40.11: with a lagging state machine no vote starts before the grace period ends.
TEST(machine_progress, lagging_state_machine_leaves_the_election_to_others) {
    server s(with_grace());
    EXPECT_FALSE(campaigns(s));
    EXPECT_FALSE(campaigns(s));
    EXPECT_TRUE(campaigns(s)) << "a third timeout ends after 1000 ms";
    EXPECT_TRUE(campaigns(s)) << "nobody won that term: others have had their time";
    const uint64_t term = s.core->term() + 1;
    s.receive(append(term, 2, 3, 1, 1));
    EXPECT_FALSE(campaigns(s)) << "that leader is lost too";
    EXPECT_FALSE(campaigns(s));
    s.receive(append(term, 2, 3, 1, 1));
    s.step(inputs::applied{2});
    EXPECT_FALSE(campaigns(s)) << "the same term, the same period";
    EXPECT_TRUE(campaigns(s));
    s.receive(append(s.core->term() + 1, 2, 3, 1, 1));
    s.step(inputs::applied{3});
    EXPECT_TRUE(campaigns(s)) << "it has caught up";
}

// § 7.1: no delay without lag, nor for a takeover.
TEST(machine_progress, no_grace_without_need) {
    setup there = with_grace();
    there.commit = 3;
    server s(there);
    EXPECT_TRUE(campaigns(s));
    server forced(with_grace());
    forced.receive(append(1, 2, 3, 1, 1));
    const uint64_t before = forced.core->term();
    forced.receive(notification(before, 2, 2));
    EXPECT_GT(forced.core->term(), before);
}

// § 22.1: what should be applied follows the commit index.
TEST(machine_progress, lag_is_measured_from_the_commit_index) {
    setup there = with_grace();
    there.commit = 3;
    server s(there);
    s.receive(append(1, 2, 3, 1, 5, {app(1), app(1)}));
    s.persist();
    ASSERT_EQ(s.core->commit_index(), 5u);
    EXPECT_FALSE(campaigns(s));
}

}  // namespace
}  // namespace rules
