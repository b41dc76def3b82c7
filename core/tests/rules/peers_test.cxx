#include "fixture.hxx"

// What a leader does about a peer as time passes: heartbeats, failures, connections; § 10.

namespace rules {
namespace {

// § 10.1: a heartbeat is an append, empty when there is nothing to say.
TEST(peers, heartbeat_is_an_empty_append) {
    server s;
    s.lead();
    s.heartbeat(3);
    ASSERT_EQ(s.sent(3).size(), 1u);
    req_msg& msg = *s.one_to(3).msg;
    EXPECT_TRUE(msg.log_entries().empty());
    EXPECT_EQ(msg.get_commit_idx(), s.core->commit_index());
    EXPECT_EQ(s.armed(timer_kind::heartbeat, 3), 100) << "always again (B14)";
}

// § 40.21: a lost answer leads to the same entries again.
TEST(peers, lost_request_is_sent_again) {
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
TEST(peers, failing_peer_is_bothered_less) {
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
TEST(peers, lost_peer_is_reported_once) {
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
TEST(peers, mute_connection_is_replaced) {
    for (int32_t gap : {0, 50}) {
        server s(setup().with_stream(gap));
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

// § 1.1, B1: changed settings reach peers that were slowed down under the old ones.
TEST(peers, new_settings_reach_peers) {
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
TEST(peers, reconnects_at_once_while_it_is_told_to) {
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
