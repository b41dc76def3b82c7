#include "fixture.hxx"

// Losing and handing over leadership: dissertation 3.10, 6.2; § 29, 31, 5.6.

namespace rules {
namespace {

constexpr uint8_t takeover = 2;
constexpr uint8_t resignation = 3;

uint8_t kind_of(const outgoing& o) {
    return o.msg->log_entries().empty() ? 0 : o.msg->log_entries()[0]->get_buf().data_begin()[1];
}

inputs::yield yield_to(int32_t successor) {
    return {false, successor};
}

// § 29.1: a quorum that is silent for longer than the expiry ends the leadership.
TEST(leadership, expires_without_a_quorum) {
    server s;
    s.lead();
    bool expired = false;
    int beats = 0;
    for (; beats < 30 && !expired; ++beats) {
        s.heartbeat(2);
        expired = s.noticed(notice::leadership_expired);
    }
    EXPECT_TRUE(expired);
    EXPECT_GE(beats, 20);
    s.step(inputs::yield{true, -1});
    EXPECT_EQ(s.core->role(), srv_role::follower);
    EXPECT_FALSE(s.core->leader_alive()) << "others' pre-votes are welcome";
    EXPECT_EQ(s.core->leader(), -1);
}

// § 29.1: one of two others is enough.
TEST(leadership, does_not_expire_with_a_quorum) {
    server s;
    s.lead();
    for (int beats = 0; beats < 60; ++beats) {
        s.heartbeat(3);
        EXPECT_FALSE(s.noticed(notice::leadership_expired));
        s.settle();
        s.now -= 100;
        s.heartbeat(2);
        EXPECT_FALSE(s.noticed(notice::leadership_expired));
    }
    EXPECT_EQ(s.core->role(), srv_role::leader);
}

// § 29.1, 40.52: a leader of two servers does not expire; a negative expiry never does.
TEST(leadership, some_leaders_never_expire) {
    setup pair;
    pair.config = config_of({1, 2});
    setup never;
    never.params.leadership_expiry_ = -1;
    for (const setup& kind : {pair, never}) {
        server s(kind);
        s.lead();
        for (int beats = 0; beats < 60; ++beats) {
            s.heartbeat(2);
            EXPECT_FALSE(s.noticed(notice::leadership_expired));
        }
    }
}

// § 29.1: a client that waited in vain has the leadership checked too.
TEST(leadership, is_checked_after_a_failed_wait) {
    server s;
    s.step(inputs::check_leadership{});
    EXPECT_FALSE(s.noticed(notice::leadership_expired)) << "not leader";
    s.lead();
    s.step(inputs::check_leadership{});
    EXPECT_FALSE(s.noticed(notice::leadership_expired));
    s.now += 2001;
    s.step(inputs::check_leadership{});
    EXPECT_TRUE(s.noticed(notice::leadership_expired));
}

// B14: a program that refuses to resign keeps its heartbeats.
TEST(leadership, expired_leader_goes_on_with_heartbeats) {
    server s;
    s.lead();
    for (int beats = 0; beats < 40; ++beats) {
        s.heartbeat(2);
        EXPECT_GT(s.armed(timer_kind::heartbeat, 2), 0);
    }
}

// § 29.2: while handing over no entry and no membership change is taken.
TEST(leadership, handover_pauses_writes) {
    server s;
    s.lead();
    s.propose();
    s.step(yield_to(2));
    EXPECT_TRUE(s.core->writes_paused());
    inputs::proposal p;
    p.entries = {app(0)};
    s.step(p);
    EXPECT_EQ(s.out.answers.at(0).code, cmd_result_code::NOT_LEADER);
    inputs::add_server add;
    add.server = cs_new<srv_config>(9, endpoint(9));
    s.step(add);
    EXPECT_EQ(s.out.answers.at(0).code, cmd_result_code::NOT_LEADER);
    inputs::remove_server remove;
    remove.server = 3;
    s.step(remove);
    EXPECT_EQ(s.out.answers.at(0).code, cmd_result_code::NOT_LEADER);
}

// § 29.3: the successor takes over when it has everything.
TEST(leadership, successor_takes_over_when_it_has_everything) {
    server s;
    s.lead();
    s.propose();
    const outgoing last = s.one_to(2);
    s.durable();
    s.step(yield_to(2));
    EXPECT_EQ(s.core->role(), srv_role::leader) << "not before";
    s.accept(last);
    s.answer_question();
    EXPECT_EQ(s.core->role(), srv_role::leader) << "it is being told of the commit";
    s.accept(s.one_to(2));
    EXPECT_EQ(s.core->role(), srv_role::follower);
    const outgoing told = s.one_to(2);
    EXPECT_EQ(told.msg->get_type(), msg_type::custom_notification_request);
    EXPECT_EQ(kind_of(told), takeover);
    EXPECT_EQ(s.armed(timer_kind::election), 600) << "once lower + upper (§ 4.1)";
    EXPECT_FALSE(s.core->writes_paused());
}

// § 29.3: what is in the log but not committed when the leader lets go would have an unknown
// outcome.
TEST(leadership, handover_waits_for_the_last_commit) {
    server s;
    s.lead();
    s.propose();  // Stored here, not durable yet.
    const outgoing last = s.one_to(2);
    s.step(yield_to(2));
    s.accept(last);
    s.answer_question();
    EXPECT_EQ(s.core->role(), srv_role::leader) << "one of three disks has it";
    s.durable();
    s.answer_question();
    // The successor learns of the commit first.
    for (const outgoing& o : s.sent(2)) s.accept(o);
    EXPECT_EQ(s.core->role(), srv_role::follower);
    EXPECT_EQ(s.core->commit_index(), s.core->last_log_index());
}

// § 29.2: whoever answers first succeeds if nobody was fit at the beginning.
TEST(leadership, handover_finds_a_successor_later) {
    server s;
    s.lead();
    s.now += 101;
    s.step(yield_to(-1));
    s.now -= 100;
    s.heartbeat(3);
    s.accept(s.one_to(3));
    EXPECT_EQ(s.core->role(), srv_role::follower);
    EXPECT_EQ(kind_of(s.one_to(3)), takeover);
}

// § 29.3, 40.50: it resigns after the upper bound even if the successor never catches up.
TEST(leadership, handover_has_a_deadline) {
    server s;
    s.lead();
    s.propose();
    s.step(yield_to(2));
    s.heartbeat(3);
    EXPECT_EQ(s.core->role(), srv_role::leader);
    s.now += 400;
    s.heartbeat(3);
    EXPECT_EQ(s.core->role(), srv_role::follower);
    for (const outgoing& o : s.out.send) {
        EXPECT_NE(o.msg->get_type(), msg_type::custom_notification_request);
    }
}

// Raft 5.1: what a later leader says comes first. A leader whose time to hand over has run out has
// nothing to hand over then, least of all in its old term.
TEST(leadership, later_leader_ends_a_handover) {
    server s;
    s.lead();
    s.propose();  // Never durable here, so that the commit is late.
    const outgoing last = s.one_to(2);
    s.step(yield_to(2));
    s.accept(last);
    s.now += 400;
    const uint64_t later = s.core->term() + 1;
    s.receive(append(later, 3, 0, 0, 0));
    EXPECT_EQ(s.core->role(), srv_role::follower);
    EXPECT_EQ(s.core->term(), later);
    EXPECT_TRUE(s.out.send.empty());
}

// § 29.3: when time has run out, a successor that has everything takes over all the same.
TEST(leadership, handover_does_not_wait_for_a_late_commit_forever) {
    server s;
    s.lead();
    s.propose();
    const outgoing last = s.one_to(2);
    s.step(yield_to(2));
    s.accept(last);
    s.now += 400;
    s.heartbeat(3);
    EXPECT_EQ(s.core->role(), srv_role::follower);
    EXPECT_EQ(kind_of(s.one_to(2)), takeover);
}

// § 29.2: by default the healthiest of the highest priority; unknown ids mean the default.
TEST(leadership, default_successor_is_the_highest_priority_that_answers) {
    setup ranked;
    ranked.config->get_server(1)->set_priority(100);
    ranked.config->get_server(2)->set_priority(10);
    ranked.config->get_server(3)->set_priority(50);
    server s(ranked);
    s.lead();
    EXPECT_EQ(s.core->best_successor(s.now), 3);
    s.now += 150;
    EXPECT_EQ(s.core->best_successor(s.now), -1) << "nobody answered for a heartbeat";
    s.heartbeat(2);
    s.settle();
    EXPECT_EQ(s.core->best_successor(s.now), 2) << "an offline best candidate is skipped";
}

// B37: learners never succeed.
TEST(leadership, learner_is_no_successor) {
    setup learner;
    learner.config->get_server(3)->set_learner(true);
    learner.config->get_server(3)->set_priority(100);
    server s(learner);
    s.lead();
    EXPECT_EQ(s.core->best_successor(s.now), 2);
}

// § 29.2: nothing to yield on a follower, or alone.
TEST(leadership, yield_is_ignored_where_it_makes_no_sense) {
    server follower;
    EXPECT_FALSE(follower.core->can_yield());
    follower.step(yield_to(2));
    EXPECT_TRUE(follower.out.send.empty());
    setup alone;
    alone.config = config_of({1});
    server single(alone);
    single.election_timeout();
    EXPECT_FALSE(single.core->can_yield());
    single.step(inputs::yield{true, -1});
    EXPECT_EQ(single.core->role(), srv_role::leader);
}

// § 29.4: told to take over, a server asks for forced votes at once, without a pre-vote.
TEST(leadership, takeover_starts_a_forced_vote) {
    server s(setup().in_term(3));
    s.receive(append(3, 2, 0, 0, 0));
    s.receive(notification(3, 2, takeover));
    EXPECT_EQ(s.core->term(), 4u);
    const std::vector<outgoing> votes = s.sent(msg_type::request_vote_request);
    ASSERT_EQ(votes.size(), 2u);
    EXPECT_EQ(votes[0].msg->log_entries().size(), 1u) << "the mark of a forced vote";
    ASSERT_TRUE(s.out.save);
    EXPECT_EQ(s.out.save->voted_for, 1);
}

// § 29.4: priority does not matter then.
TEST(leadership, takeover_ignores_priority) {
    setup ranked;
    ranked.config->get_server(2)->set_priority(100);
    server s(ranked.in_term(3));
    s.receive(append(3, 2, 0, 0, 0));
    s.receive(notification(3, 2, takeover));
    EXPECT_EQ(s.sent(msg_type::request_vote_request).size(), 2u);
}

// B37: not by one that may not lead.
TEST(leadership, takeover_is_ignored_by_those_who_may_not_lead) {
    setup learner;
    learner.config->get_server(1)->set_learner(true);
    setup receiving;
    receiving.state.receiving_snapshot = true;
    setup joining;
    joining.state.catching_up = true;
    joining.config = config_of({2, 3});
    for (setup kind : {learner, receiving, joining}) {
        server s(kind.in_term(3));
        s.receive(notification(3, 2, takeover));
        EXPECT_EQ(s.core->term(), 3u);
        EXPECT_TRUE(s.out.send.empty());
    }
}

// § 29.4: a follower asks its leader; the leader wants the program's consent.
TEST(leadership, leadership_can_be_requested) {
    server follower;
    follower.step(inputs::request_leadership{});
    EXPECT_TRUE(follower.out.send.empty()) << "no leader is known";
    follower.receive(append(1, 2, 0, 0, 0));
    follower.step(inputs::request_leadership{});
    EXPECT_EQ(kind_of(follower.one_to(2)), resignation);
    server leader;
    leader.lead();
    leader.receive(notification(leader.core->term(), 3, resignation));
    ASSERT_TRUE(leader.noticed(notice::resign_wanted));
    EXPECT_EQ(leader.out.notices.back().peer, 3);
    EXPECT_EQ(leader.core->role(), srv_role::leader) << "the program decides";
    leader.receive(notification(leader.core->term(), 9, resignation));
    EXPECT_FALSE(leader.noticed(notice::resign_wanted)) << "no member";
}

// § 29.5: automatic transfer to a higher priority, once everybody is up to date and answers.
TEST(leadership, transfers_automatically_to_a_higher_priority) {
    setup ranked;
    ranked.params.leadership_transfer_min_wait_time_ = 500;
    ranked.config->get_server(3)->set_priority(50);
    server s(ranked);
    s.become_leader();
    s.settle();
    s.persist();
    s.settle();
    s.heartbeat(2);
    s.settle();
    EXPECT_FALSE(s.noticed(notice::transfer_wanted)) << "too early";
    s.now += 600;
    s.heartbeat(2);
    s.accept(s.one_to(2));
    EXPECT_FALSE(s.noticed(notice::transfer_wanted)) << "server 3 has not answered lately";
    s.heartbeat(3);
    s.accept(s.one_to(3));
    s.heartbeat(2);
    s.accept(s.one_to(2));
    EXPECT_TRUE(s.noticed(notice::transfer_wanted));
}

// § 31: a follower may ask for a new connection; it comes three seconds later.
TEST(leadership, reconnect_request_is_honoured_after_three_seconds) {
    server s;
    s.lead();
    s.receive(cs_new<req_msg>(s.core->term(), msg_type::reconnect_request, 2, 1, 0, 0, 0));
    EXPECT_TRUE(s.reply().get_accepted());
    s.heartbeat(2);
    EXPECT_TRUE(s.out.connections.empty());
    s.settle();
    s.now += 3000;
    s.heartbeat(2);
    ASSERT_EQ(s.out.connections.size(), 1u);
    EXPECT_EQ(s.out.connections[0].what, connection_change::replace);
    server follower;
    follower.receive(cs_new<req_msg>(0, msg_type::reconnect_request, 2, 1, 0, 0, 0));
    EXPECT_FALSE(follower.reply().get_accepted());
}

// § 5.6: who may set priorities, and how.
TEST(leadership, priorities_are_set_by_whom_the_table_says) {
    using result = raft_server::PrioritySetResult;
    auto set = [](server& s, int32_t id, int32_t priority, bool with_leader = false) {
        inputs::set_priority in;
        in.server = id;
        in.priority = priority;
        in.broadcast_when_leader_exists = with_leader;
        s.step(in);
        return s.out.answers.at(0).priority;
    };
    server leader;
    leader.lead();
    EXPECT_EQ(set(leader, 2, 7), result::SET);
    ASSERT_TRUE(leader.out.write);
    EXPECT_EQ(config_in(leader.out.write->entries[0])->get_server(2)->get_priority(), 7);
    server other;
    other.lead();
    EXPECT_EQ(set(other, 1, 0), result::BROADCAST);
    EXPECT_FALSE(other.out.write);
    EXPECT_EQ(other.sent(msg_type::priority_change_request).size(), 2u);
    server lonely;
    EXPECT_EQ(set(lonely, 2, 7), result::BROADCAST);
    EXPECT_EQ(lonely.core->config()->get_server(2)->get_priority(), 7);
    server follower;
    follower.receive(append(1, 2, 0, 0, 0));
    EXPECT_EQ(set(follower, 2, 7), result::IGNORED);
    EXPECT_TRUE(follower.out.send.empty());
    EXPECT_EQ(set(follower, 2, 7, true), result::BROADCAST);
}

// B5: what was broadcast becomes durable with the next leader's first configuration, also when the
// log holds a configuration from before.
TEST(leadership, broadcast_priority_enters_the_leaders_configuration) {
    server s;
    s.receive(append(1, 2, 0, 0, 0, {conf(1, config_of({1, 2, 3}, 1))}));
    s.persist();
    inputs::set_priority in;
    in.server = 3;
    in.priority = 7;
    in.broadcast_always = true;
    s.step(in);
    s.become_leader();
    ASSERT_TRUE(s.out.write);
    EXPECT_EQ(config_in(s.out.write->entries[0])->get_server(3)->get_priority(), 7);
    EXPECT_EQ(config_in(s.out.write->entries[0])->get_server(2)->get_priority(), 1);
}

}  // namespace
}  // namespace rules
