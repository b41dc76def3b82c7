#include "fixture.hxx"

// Quorum adjustment in clusters of two voters: § 20, B25. The heartbeat is 100 ms, so a server is
// away after 2000 ms of silence.

namespace rules {
namespace {

setup pair() {
    setup s;
    s.config = config_of({1, 2});
    s.params.auto_adjust_quorum_for_small_cluster_ = true;
    return s;
}

/// Heartbeats without an answer until the leader wants to go on alone; how many that took.
int beats_until_wanted(server& s, int most = 60) {
    for (int beats = 1; beats <= most; ++beats) {
        s.heartbeat(2);
        if (s.noticed(notice::quorum_adjustment_wanted)) return beats;
    }
    return 0;
}

/// A leader of two, alone, that the program lets go on.
struct survivor : server {
    explicit survivor(const setup& s = pair()) : server(s) {
        lead();
        propose();
        durable();
        index = core->last_log_index();
        EXPECT_GT(beats_until_wanted(*this), 0);
        EXPECT_LT(core->commit_index(), index);
        step(inputs::adjust_quorum{});
    }
    uint64_t index = 0;
};

// § 20, 40.63: the survivor asks, and then commits what it holds at once.
TEST(small_cluster, leader_goes_on_alone) {
    server s(pair());
    s.lead();
    EXPECT_GE(beats_until_wanted(s), 20);
    survivor alone;
    EXPECT_TRUE(alone.core->quorum_is_adjusted());
    EXPECT_EQ(alone.core->commit_index(), alone.index);
    EXPECT_EQ(alone.core->commit_quorum(), 1);
    EXPECT_EQ(alone.core->election_quorum(), 1);
}

// § 20: what only the other one has on its disk is not held by the one that goes on without it.
TEST(small_cluster, survivor_commits_what_is_on_its_own_disk) {
    server s(pair());
    s.lead();
    s.propose();
    const uint64_t index = s.core->last_log_index();
    s.accept(s.one_to(2));  // Sooner than our disk.
    s.answer_question();
    ASSERT_LT(s.core->commit_index(), index);
    ASSERT_GT(beats_until_wanted(s), 0);
    s.step(inputs::adjust_quorum{});
    EXPECT_LT(s.core->commit_index(), index);
    s.durable();
    EXPECT_EQ(s.core->commit_index(), index);
}

// § 20: without the program's consent nothing changes, and it is asked once a second at most.
TEST(small_cluster, program_is_asked_once_a_second) {
    server s(pair());
    s.lead();
    ASSERT_GT(beats_until_wanted(s), 0);
    EXPECT_EQ(beats_until_wanted(s), 10);
    EXPECT_FALSE(s.core->quorum_is_adjusted());
}

// § 20: off by default, and for two voters only.
TEST(small_cluster, nobody_else_is_asked) {
    setup off = pair();
    off.params.auto_adjust_quorum_for_small_cluster_ = false;
    setup three = pair();
    three.config = config_of({1, 2, 3});
    for (const setup& kind : {off, three}) {
        server s(kind);
        s.lead();
        EXPECT_EQ(beats_until_wanted(s), 0);
        s.step(inputs::adjust_quorum{});
        EXPECT_FALSE(s.core->quorum_is_adjusted());
    }
}

// § 20: consent that comes too late is no consent.
TEST(small_cluster, consent_is_void_once_the_other_is_back) {
    server s(pair());
    s.lead();
    s.heartbeat(2);
    const outgoing late = s.one_to(2);
    ASSERT_GT(beats_until_wanted(s), 0);
    s.accept(late);
    s.step(inputs::adjust_quorum{});
    EXPECT_FALSE(s.core->quorum_is_adjusted());
}

// § 20: a peer that answers but lags by more than the stale gap is no help either.
TEST(small_cluster, lagging_peer_counts_as_away) {
    setup close = pair();
    close.params.stale_log_gap_ = 3;
    server s(close);
    s.lead();
    for (int i = 0; i < 4; ++i) s.propose();
    s.durable();
    s.now += 1000;
    s.heartbeat(2);
    EXPECT_TRUE(s.noticed(notice::quorum_adjustment_wanted));
}

// § 20, 40.63: the quorum is two again when the other answers and has caught up.
TEST(small_cluster, quorum_returns_with_the_peer) {
    survivor s;
    s.now += 1000;
    s.heartbeat(2);
    EXPECT_TRUE(s.core->quorum_is_adjusted());
    if (!s.sent(2).empty()) s.send_failed(s.one_to(2));
    s.now += 1000;
    s.heartbeat(2);
    s.settle();
    s.now += 1000;
    s.heartbeat(2);
    EXPECT_FALSE(s.core->quorum_is_adjusted());
    EXPECT_EQ(s.core->commit_quorum(), 2);
}

// B25: what the program configured is in force again afterwards.
TEST(small_cluster, configured_sizes_are_never_touched) {
    setup configured = pair();
    configured.config = config_of({1, 2});
    configured.params.custom_commit_quorum_size_ = 2;
    configured.params.custom_election_quorum_size_ = 2;
    survivor s(configured);
    ASSERT_TRUE(s.core->quorum_is_adjusted());
    s.receive(append(s.core->term() + 1, 2, 0, 0, 0));
    EXPECT_EQ(s.core->commit_quorum(), 2);
    EXPECT_EQ(s.core->election_quorum(), 2);
}

// § 20: who needs nobody is not asked.
TEST(small_cluster, quorum_of_one_needs_no_adjustment) {
    setup one = pair();
    one.params.custom_commit_quorum_size_ = 1;
    server s(one);
    s.lead();
    EXPECT_EQ(beats_until_wanted(s), 0);
}

/// Elects itself alone, because nobody answers its pre-votes.
void elect_alone(server& s) {
    int rounds = 0;
    while (rounds < 20 && !s.noticed(notice::quorum_adjustment_wanted)) {
        s.election_timeout();
        ++rounds;
    }
    EXPECT_EQ(rounds, 7) << "six that nobody answered, seen by the seventh";
    ASSERT_EQ(s.core->role(), srv_role::candidate);
    s.step(inputs::adjust_quorum{});
    EXPECT_TRUE(s.core->quorum_is_adjusted());
    s.election_timeout();
    ASSERT_EQ(s.core->role(), srv_role::leader);
    s.persist();
}

// § 6.1, 20, 40.63: after more than five rounds of pre-votes without a word the candidate asks, and
// the next timeout elects it alone.
TEST(small_cluster, candidate_elects_itself) {
    server s(pair());
    elect_alone(s);
    EXPECT_EQ(s.core->commit_index(), s.core->last_log_index());
    for (int beats = 0; beats < 30; ++beats) s.heartbeat(2);
    EXPECT_TRUE(s.core->quorum_is_adjusted()) << "the other has not answered this leader";
}

// Raft 5.2, 5.3: two that lead alone, one after the other, do not do so in the same term; their
// logs could not be told apart when they meet again.
TEST(small_cluster, terms_of_the_two_differ) {
    for (uint64_t last : {4, 5}) {
        server one(pair().in_term(last));
        elect_alone(one);
        setup other = pair();
        other.id = 2;
        server two(other.in_term(last));
        elect_alone(two);
        EXPECT_GT(one.core->term(), last);
        EXPECT_GT(two.core->term(), last);
        EXPECT_NE(one.core->term(), two.core->term());
    }
}

// § 6.1: a round with an answer starts the count anew.
TEST(small_cluster, answered_rounds_do_not_count) {
    server s(pair());
    for (int rounds = 0; rounds < 12; ++rounds) {
        s.election_timeout();
        EXPECT_FALSE(s.noticed(notice::quorum_adjustment_wanted));
        const outgoing question = s.one_to(2);
        if (rounds % 4 == 3) {
            s.answer(question, s.core->term(), 0, false);
        } else {
            s.send_failed(question);
        }
    }
}

// § 20: who follows counts on the other again.
TEST(small_cluster, follower_needs_the_other) {
    survivor s;
    s.receive(append(s.core->term() + 1, 2, 0, 0, 0));
    ASSERT_EQ(s.core->role(), srv_role::follower);
    EXPECT_FALSE(s.core->quorum_is_adjusted());
    EXPECT_EQ(s.core->election_quorum(), 2);
}

// § 20: switched off, the adjustment is over.
TEST(small_cluster, can_be_switched_off) {
    survivor s;
    settings off;
    off.params = pair().params;
    off.params.auto_adjust_quorum_for_small_cluster_ = false;
    s.step(inputs::settings_changed{off});
    EXPECT_EQ(s.core->commit_quorum(), 2);
}

// § 20, 26.4: the one that is left can remove the dead one, and is a cluster of its own then.
TEST(small_cluster, dead_server_can_be_removed) {
    server s(pair());
    elect_alone(s);
    s.step(inputs::remove_server{1, 2});
    ASSERT_TRUE(s.out.answers.at(0).accepted);
    for (int beats = 0; beats < 6 && s.core->config()->get_servers().size() > 1; ++beats) {
        s.heartbeat(2);
        s.persist();
    }
    EXPECT_EQ(s.core->config()->get_servers().size(), 1u);
    EXPECT_FALSE(s.core->quorum_is_adjusted());
    s.propose();
    s.persist();
    EXPECT_EQ(s.core->commit_index(), s.core->last_log_index());
}

}  // namespace
}  // namespace rules
