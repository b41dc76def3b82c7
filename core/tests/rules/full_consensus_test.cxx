#include "fixture.hxx"

// Full consensus among healthy members: § 19.1-19.5. The heartbeat is 100 ms, so a leader excludes
// after 400 ms of silence, and a follower takes itself for excluded after 200 ms.

namespace rules {
namespace {

setup full_consensus(int32_t id = 1) {
    setup s;
    s.id = id;
    s.params.use_full_consensus_among_healthy_members_ = true;
    return s;
}

/// A leader of three with one more entry, which is on its own disk and on its way to both.
struct one_entry : server {
    explicit one_entry(const setup& s) : server(s) {
        lead();
        propose();
        index = core->last_log_index();
        to_two = one_to(2);
        to_three = one_to(3);
        durable();
        answer_question();
    }
    uint64_t index = 0;
    outgoing to_two, to_three;
};

/// A batch size hint, in bytes.
constexpr int64_t one_entry_at_a_time = 1;

const effects& accept_marked_down(server& s, const outgoing& append, int64_t size_hint = 0) {
    auto resp = cs_new<resp_msg>(
        s.core->term(), msg_type::append_entries_response, append.peer, s.core->id(),
        append.msg->get_last_log_idx() + append.msg->log_entries().size() + 1, true);
    resp->set_extra_flags(resp_msg::SELF_MARK_DOWN);
    resp->set_next_batch_size_hint_in_bytes(size_hint);
    return s.step(inputs::response{append.number, resp});
}

bool tells_excluded(const outgoing& append) {
    return (append.msg->get_extra_flags() & req_msg::EXCLUDED_FROM_THE_QUORUM) != 0;
}

/// Heartbeats to `peer` that it accepts, each 100 ms after the one before.
void beat(server& s, int32_t peer, int times) {
    for (int i = 0; i < times; ++i) {
        s.heartbeat(peer);
        s.settle();
    }
}

// § 19.2: a majority is not enough while the third is healthy.
TEST(full_consensus, all_healthy_members_commit) {
    one_entry s(full_consensus());
    s.accept(s.to_two);
    s.answer_question();
    EXPECT_LT(s.core->commit_index(), s.index);
    s.accept(s.to_three);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), s.index);

    setup plain;
    one_entry majority(plain);
    majority.accept(majority.to_two);
    majority.answer_question();
    EXPECT_EQ(majority.core->commit_index(), majority.index);
}

// § 19.1, 40.60: a silent member holds commits back for four heartbeats.
TEST(full_consensus, silent_member_is_excluded) {
    one_entry s(full_consensus());
    s.accept(s.to_two);
    s.answer_question();
    beat(s, 2, 4);
    EXPECT_LT(s.core->commit_index(), s.index) << "400 ms are not more than 400 ms";
    beat(s, 2, 1);
    EXPECT_EQ(s.core->commit_index(), s.index);
}

// § 19.2, 40.60: a majority of silent members blocks commits.
TEST(full_consensus, normal_quorum_is_needed_all_the_same) {
    one_entry s(full_consensus());
    for (int beats = 0; beats < 10; ++beats) {
        s.heartbeat(2);
        s.answer_question();
    }
    EXPECT_LT(s.core->commit_index(), s.index);
}

// § 19.1, 40.61: who marks itself down is not waited for, until it is up again.
TEST(full_consensus, marked_down_member_is_excluded) {
    one_entry s(full_consensus());
    s.accept(s.to_two);
    s.answer_question();
    s.heartbeat(3);
    ASSERT_TRUE(s.sent(3).empty()) << "still busy with the entry";
    s.send_failed(s.to_three);
    s.now += 1;
    s.heartbeat(3);
    accept_marked_down(s, s.one_to(3));
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), s.index);

    s.accept(s.one_to(2));  // The announcement of the commit.
    s.propose();
    const uint64_t next = s.core->last_log_index();
    const outgoing to_two = s.one_to(2);
    s.durable();
    s.accept(to_two);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), next) << "still down";
}

// § 19.1: a member that lags by more than a request's worth is excluded; a match of 0 is none.
TEST(full_consensus, lagging_member_is_excluded) {
    setup slow = full_consensus();
    slow.params.max_append_size_ = 2;
    one_entry s(slow);
    for (int i = 0; i < 4; ++i) s.propose();
    s.durable();
    s.now += 401;
    s.accept(s.to_two);
    s.settle();
    ASSERT_EQ(s.core->commit_index(), s.core->last_log_index()) << "3 is silent";
    s.accept(s.to_three);
    const outgoing rest = s.one_to(3);
    ASSERT_EQ(s.core->commit_index(), s.index + 4) << "3 lags by 4";

    s.propose();
    const outgoing fifth = s.one_to(2);
    s.durable();
    s.accept(fifth);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), s.index + 5) << "it answers, but lags by more than 2";
    for (const outgoing& o : s.sent(2)) s.accept(o);

    s.accept(rest);
    s.settle();
    s.propose();
    const outgoing to_two = s.one_to(2);
    s.durable();
    s.accept(to_two);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), s.index + 5) << "it has caught up, and counts again";
}

// B24: the least of the healthy ones counts, not a place in a list.
TEST(full_consensus, excluded_member_does_not_stand_for_a_healthy_one) {
    setup four = full_consensus();
    four.config = config_of({1, 2, 3, 4});
    server s(four);
    s.lead();
    s.propose();
    const uint64_t index = s.core->last_log_index();
    const outgoing to_two = s.one_to(2), to_three = s.one_to(3), to_four = s.one_to(4);
    s.durable();
    s.accept(to_two);
    s.accept(to_three);
    accept_marked_down(s, to_four);
    s.answer_question();
    ASSERT_EQ(s.core->commit_index(), index) << "all have it";
    const outgoing said_two = s.one_to(2), said_four = s.one_to(4);
    s.accept(said_two);
    accept_marked_down(s, said_four);

    s.propose();
    const uint64_t next = s.core->last_log_index();
    const outgoing again_two = s.one_to(2), again_four = s.one_to(4);
    s.durable();
    s.accept(again_two);
    accept_marked_down(s, again_four);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), index) << "three of four have it, but 3 is healthy";
    EXPECT_GT(next, index);
}

// § 19.2: a commit quorum of the program's own replaces the rule.
TEST(full_consensus, custom_quorum_comes_first) {
    setup custom = full_consensus();
    custom.params.custom_commit_quorum_size_ = 2;
    one_entry s(custom);
    s.accept(s.to_two);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), s.index);
}

// § 40.62: a receiver of a snapshot holds nobody up.
TEST(full_consensus, snapshot_receiver_is_excluded) {
    setup behind = full_consensus();
    behind.params.max_append_size_ = 1;
    behind.with_log({1, 1, 1, 1, 1, 1}).commit = 6;
    behind.log_start = 6;
    behind.last_snapshot = snapshot_at(5, 1);
    server s(behind);
    s.become_leader();
    const uint64_t index = s.core->last_log_index();
    const outgoing to_two = s.one_to(2), to_three = s.one_to(3);
    s.persist();
    s.accept(to_two);
    s.answer_question();
    EXPECT_LT(s.core->commit_index(), index);
    s.answer(to_three, s.core->term(), 1, false);  // Its log is empty.
    ASSERT_EQ(s.out.reads.size(), 1u) << "a snapshot is read for it";
    beat(s, 2, 1);
    EXPECT_EQ(s.core->commit_index(), index);
}

// § 19.3: the excluded member is told with every append; marking itself down is its own business.
TEST(full_consensus, excluded_member_is_told) {
    server s(full_consensus());
    s.lead();
    s.heartbeat(3);
    EXPECT_FALSE(tells_excluded(s.one_to(3)));
    accept_marked_down(s, s.one_to(3));
    s.heartbeat(3);
    EXPECT_FALSE(tells_excluded(s.one_to(3)));
    s.accept(s.one_to(3));
    s.now += 401;
    s.heartbeat(3);
    EXPECT_TRUE(tells_excluded(s.one_to(3)));
    s.accept(s.one_to(3));
    s.heartbeat(3);
    EXPECT_FALSE(tells_excluded(s.one_to(3))) << "it answers again";
}

// § 19.5: a member that is not brought up to the commit index by a request must not believe that it
// holds everything.
TEST(full_consensus, request_short_of_the_commit_index_says_so) {
    server s(full_consensus());
    s.lead();
    s.heartbeat(3);
    accept_marked_down(s, s.one_to(3));  // So that the others commit without it.
    s.propose();
    const outgoing first = s.one_to(3);
    const outgoing to_two = s.one_to(2);
    for (int i = 0; i < 2; ++i) s.propose();
    s.durable();
    s.accept(to_two);
    s.settle();
    ASSERT_EQ(s.core->commit_index(), s.core->last_log_index());
    EXPECT_FALSE(tells_excluded(first));
    accept_marked_down(s, first, one_entry_at_a_time);
    EXPECT_TRUE(tells_excluded(s.one_to(3))) << "of two missing entries one is carried";
    accept_marked_down(s, s.one_to(3), one_entry_at_a_time);
    EXPECT_FALSE(tells_excluded(s.one_to(3)));
}

// § 19.1 is off: nobody is told anything.
TEST(full_consensus, flag_belongs_to_the_mode) {
    server s;
    s.lead();
    s.now += 5000;
    s.heartbeat(3);
    EXPECT_FALSE(tells_excluded(s.one_to(3)));
}

// § 19.4: after a gap of more than two heartbeats a request is dropped, the next one is taken.
TEST(full_consensus, append_after_a_gap_is_dropped) {
    server s(full_consensus());
    s.receive(append(1, 2, 0, 0, 0));
    EXPECT_TRUE(s.dropped()) << "the first one of all comes after a gap without end";
    EXPECT_EQ(s.core->term(), 1u) << "its term counts";
    s.now += 200;
    s.receive(append(1, 2, 0, 0, 0));
    EXPECT_TRUE(s.reply().get_accepted());
    s.now += 201;
    EXPECT_FALSE(s.core->would_accept(*append(1, 2, 0, 0, 0), s.now));
    s.receive(append(1, 2, 0, 0, 0, {app(1)}));
    EXPECT_TRUE(s.dropped());
    EXPECT_FALSE(s.out.write);
    s.receive(append(1, 2, 0, 0, 0, {app(1)}));
    EXPECT_TRUE(s.out.write);

    server plain;
    plain.receive(append(1, 2, 0, 0, 0));
    EXPECT_TRUE(plain.reply().get_accepted());
}

// § 19.4, 10.2: a leader in this mode does not slow down, or the gap rule would drop all it sends.
TEST(full_consensus, heartbeats_do_not_slow_down) {
    setup patient = full_consensus();
    patient.params.election_timeout_lower_bound_ = 2000;
    patient.params.election_timeout_upper_bound_ = 4000;
    server s(patient);
    s.lead();
    for (int beats = 0; beats < 10; ++beats) {
        s.heartbeat(2);
        EXPECT_EQ(s.armed(timer_kind::heartbeat, 2), 100);
        if (!s.sent(2).empty()) s.send_failed(s.one_to(2));
    }
}

// § 19.5: a follower is part while accepted appends flow, and not from the start.
TEST(full_consensus, follower_is_part_while_appends_flow) {
    server s(full_consensus(3));
    EXPECT_FALSE(s.core->is_part_of_full_consensus(s.now));
    auto receive = [&s](uint64_t prev, uint64_t flags = 0) {
        ptr<req_msg> msg =
            cs_new<req_msg>(1, msg_type::append_entries_request, 1, 3, prev, prev, 0);
        msg->set_extra_flags(flags);
        s.receive(msg);
    };
    receive(0);
    EXPECT_FALSE(s.core->is_part_of_full_consensus(s.now)) << "dropped";
    receive(0);
    EXPECT_TRUE(s.core->is_part_of_full_consensus(s.now + 200));
    EXPECT_FALSE(s.core->is_part_of_full_consensus(s.now + 201));
    s.now += 150;
    receive(7);
    EXPECT_FALSE(s.core->is_part_of_full_consensus(s.now + 51)) << "a refused one says nothing";
    receive(0, req_msg::EXCLUDED_FROM_THE_QUORUM);
    EXPECT_TRUE(s.core->is_excluded_by_leader());
    EXPECT_FALSE(s.core->is_part_of_full_consensus(s.now)) << "although appends arrive";
    receive(0);
    EXPECT_FALSE(s.core->is_excluded_by_leader());
    EXPECT_TRUE(s.core->is_part_of_full_consensus(s.now));
}

// § 19.5: a follower is part of it only by what it has on disk.
TEST(full_consensus, part_only_by_what_is_acknowledged) {
    server s(full_consensus());
    s.receive(append(1, 2, 0, 0, 0));
    s.receive(append(1, 2, 0, 0, 0, {app(1)}));
    s.store();
    EXPECT_FALSE(s.core->is_part_of_full_consensus(s.now));
    s.durable();
    EXPECT_TRUE(s.core->is_part_of_full_consensus(s.now));
}

// § 19.4, 19.5: a slow disk makes no gap, since the leader waits for the answer; but the claim to
// be part ages from the request on.
TEST(full_consensus, slow_disk_is_no_gap_and_no_claim) {
    server s(full_consensus());
    s.receive(append(1, 2, 0, 0, 0));
    s.receive(append(1, 2, 0, 0, 0, {app(1)}));
    s.store();
    s.now += 500;
    s.durable();
    ASSERT_TRUE(s.reply().get_accepted());
    EXPECT_FALSE(s.core->is_part_of_full_consensus(s.now));
    s.now += 200;
    s.receive(append(1, 2, 1, 1, 0));
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_TRUE(s.core->is_part_of_full_consensus(s.now));
}

// § 19.5: the flag goes out with accepted appends; a leader has none.
TEST(full_consensus, mark_is_returned_in_accepted_appends) {
    server s(full_consensus());
    s.receive(append(1, 2, 0, 0, 0));
    s.step(inputs::mark_down{true});
    EXPECT_TRUE(s.core->is_marked_down());
    s.receive(append(1, 2, 0, 0, 0));
    EXPECT_EQ(s.reply().get_extra_flags(), resp_msg::SELF_MARK_DOWN);
    EXPECT_FALSE(s.core->is_part_of_full_consensus(s.now));
    s.receive(append(1, 2, 9, 1, 0));
    EXPECT_EQ(s.reply().get_extra_flags(), 0u) << "refused";
    s.become_leader();
    EXPECT_FALSE(s.core->is_marked_down());
    s.step(inputs::mark_down{true});
    EXPECT_FALSE(s.core->is_marked_down());
}

// § 19.5: a leader is part while enough others were heard within two heartbeats.
TEST(full_consensus, leader_is_part_while_it_hears_a_quorum) {
    server s(full_consensus());
    s.lead();
    s.heartbeat(2);
    s.settle();
    EXPECT_TRUE(s.core->is_part_of_full_consensus(s.now + 200));
    EXPECT_FALSE(s.core->is_part_of_full_consensus(s.now + 201));
}

}  // namespace
}  // namespace rules
