#include "fixture.hxx"

// Snapshots and what to do without them: Raft section 7; § 23, 24, 30.

namespace rules {
namespace {

/// A leader whose log begins behind a snapshot at 4.
setup compacted() {
    setup s;
    s.with_log({1, 1, 1, 1, 1, 1});
    s.log_start = 5;
    s.commit = 4;
    s.last_snapshot = snapshot_at(4, 1);
    return s;
}

/// Refuses the leader's probe as server 2 with an empty log.
void come_back_empty(server& s) {
    const outgoing probe = s.one_to(2);
    s.answer(probe, s.core->term(), 1, false);
}

// § 11.3, 24.1: what the log does not hold any more comes as a snapshot.
TEST(snapshot, compacted_entries_are_replaced_by_a_snapshot) {
    server s(compacted());
    s.become_leader();
    come_back_empty(s);
    EXPECT_TRUE(s.sent(2).empty());
    ASSERT_EQ(s.out.reads.size(), 1u);
    EXPECT_EQ(s.out.reads[0].peer, 2);
    EXPECT_EQ(s.out.reads[0].object, 0u);
    EXPECT_EQ(s.out.reads[0].meta->get_last_log_idx(), 4u);
    s.step(inputs::object_read{s.out.reads[0].transfer, 0, bytes("half"), false});
    req_msg& msg = *s.one_to(2).msg;
    EXPECT_EQ(msg.get_type(), msg_type::install_snapshot_request);
    EXPECT_EQ(msg.get_last_log_idx(), 4u);
    EXPECT_EQ(msg.get_last_log_term(), 1u);
    ASSERT_EQ(msg.log_entries().size(), 1u);
    EXPECT_EQ(msg.log_entries()[0]->get_val_type(), log_val_type::snp_sync_req);
}

// § 24.2: the receiver chooses the next object; the last one ends in ordinary entries (§ 24.6).
TEST(snapshot, transfer_goes_object_by_object_and_then_to_entries) {
    server s(compacted());
    s.become_leader();
    come_back_empty(s);
    const uint64_t transfer = s.out.reads.at(0).transfer;
    s.step(inputs::object_read{transfer, 0, bytes("first"), false});
    s.answer(s.one_to(2), s.core->term(), 7, true);
    ASSERT_EQ(s.out.reads.size(), 1u);
    EXPECT_EQ(s.out.reads[0].object, 7u);
    EXPECT_EQ(s.out.reads[0].transfer, transfer);
    s.step(inputs::object_read{transfer, 7, bytes("last"), true});
    s.answer(s.one_to(2), s.core->term(), 8, true, bytes("!"));
    ASSERT_EQ(s.out.freed_transfers.size(), 1u);
    EXPECT_EQ(s.out.freed_transfers[0], transfer);
    EXPECT_EQ(s.one_to(2).msg->get_type(), msg_type::append_entries_request);
    EXPECT_EQ(s.one_to(2).msg->get_last_log_idx(), 4u);
    EXPECT_FALSE(s.core->peers(s.now).front().receiving_snapshot);
}

// § 24.6: an acknowledged snapshot counts as held; the leader's own entry still decides (B13).
TEST(snapshot, installed_snapshot_counts_as_held) {
    server s(compacted());
    s.become_leader();
    s.persist();
    EXPECT_EQ(s.core->commit_index(), 4u);
    for (const peer_view& v : s.core->peers(s.now)) EXPECT_EQ(v.match, 0u);
}

// § 24.2: a failed read ends the transfer; the next attempt starts over with another context.
TEST(snapshot, failed_read_starts_over) {
    server s(compacted());
    s.become_leader();
    come_back_empty(s);
    const uint64_t transfer = s.out.reads.at(0).transfer;
    s.step(inputs::object_read{transfer, 0, nullptr, false});
    ASSERT_EQ(s.out.freed_transfers.size(), 1u);
    EXPECT_EQ(s.out.freed_transfers[0], transfer);
    s.heartbeat(2);
    ASSERT_EQ(s.out.reads.size(), 1u);
    EXPECT_NE(s.out.reads[0].transfer, transfer);
    EXPECT_EQ(s.out.reads[0].object, 0u);
}

// § 24.4: a transfer without progress is given up after its time, and its context freed.
TEST(snapshot, stuck_transfer_is_given_up) {
    server s(compacted());
    s.become_leader();
    come_back_empty(s);
    const uint64_t transfer = s.out.reads.at(0).transfer;
    s.step(inputs::object_read{transfer, 0, bytes("first"), false});
    bool freed = false;
    int beats = 0;
    for (; beats < 40 && !freed; ++beats) {
        s.heartbeat(2);
        freed = !s.out.freed_transfers.empty();
    }
    ASSERT_TRUE(freed);
    EXPECT_EQ(s.out.freed_transfers[0], transfer);
    EXPECT_GE(beats, 20) << "20 heartbeats by default";
}

// § 39.22: each context is freed exactly once: here by losing leadership.
TEST(snapshot, losing_leadership_frees_the_context) {
    server s(compacted());
    s.become_leader();
    come_back_empty(s);
    const uint64_t transfer = s.out.reads.at(0).transfer;
    s.receive(append(s.core->term() + 1, 3, 6, 1, 0));
    EXPECT_EQ(s.out.freed_transfers, std::vector<uint64_t>{transfer});
    s.step(inputs::object_read{transfer, 0, bytes("late"), true});
    EXPECT_TRUE(s.out.send.empty());
    s.step(inputs::stop{});
    EXPECT_TRUE(s.out.freed_transfers.empty());
}

// § 34: and by stopping.
TEST(snapshot, stopping_frees_the_context) {
    server s(compacted());
    s.become_leader();
    come_back_empty(s);
    const uint64_t transfer = s.out.reads.at(0).transfer;
    s.step(inputs::stop{});
    EXPECT_EQ(s.out.freed_transfers, std::vector<uint64_t>{transfer});
}

// § 11.3, 30: neither entries nor a snapshot: the follower is told, and the leader lives on (B29).
TEST(snapshot, without_a_snapshot_the_follower_is_told) {
    setup cut = compacted();
    cut.last_snapshot = nullptr;
    server s(cut);
    s.become_leader();
    come_back_empty(s);
    const outgoing told = s.one_to(2);
    EXPECT_EQ(told.msg->get_type(), msg_type::custom_notification_request);
    EXPECT_EQ(s.core->role(), srv_role::leader);
    EXPECT_TRUE(s.noticed(notice::snapshot_wanted));
}

// § 30: the one that is told stops campaigning until an append is accepted.
TEST(snapshot, out_of_range_follower_does_not_campaign) {
    server s(setup().in_term(1));
    ptr<buffer> body = buffer::alloc(9);
    buffer_serializer bs(body);
    bs.put_u8(0);
    bs.put_u64(77);
    s.receive(notification(1, 2, 1, body));
    EXPECT_TRUE(s.reply().get_accepted());
    ASSERT_TRUE(s.noticed(notice::out_of_log_range));
    EXPECT_EQ(s.out.notices.back().index, 77u);
    s.election_timeout();
    EXPECT_TRUE(s.out.send.empty());
    s.receive(append(1, 2, 0, 0, 0));
    s.election_timeout();
    EXPECT_FALSE(s.out.send.empty());
}

// § 24.3: the receiving mark is saved before the object is stored; the answer names the next one.
TEST(snapshot, receiving_is_saved_before_the_object) {
    server s;
    s.receive(install(1, 2, snapshot_at(10, 1), 0, false));
    ASSERT_TRUE(s.out.save);
    EXPECT_TRUE(s.out.save->receiving_snapshot);
    ASSERT_EQ(s.out.saves.size(), 1u);
    EXPECT_TRUE(s.out.replies.empty()) << "not before it is stored";
    s.step(inputs::object_saved{s.last_request(), true, 5, false});
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_EQ(s.reply().get_next_idx(), 5u);
    EXPECT_FALSE(s.reply().get_ctx());
    EXPECT_TRUE(s.core->state().receiving_snapshot);
    EXPECT_EQ(s.core->commit_index(), 0u);
}

// § 24.5, B30: the last object installs; only then is the reception over, and saved as such.
TEST(snapshot, last_object_installs) {
    server s(setup().with_log({1, 1}));
    s.receive(install(2, 2, snapshot_at(10, 2, config_of({1, 2, 3, 4}, 9)), 0, true));
    ASSERT_EQ(s.out.saves.size(), 1u);
    EXPECT_TRUE(s.out.saves[0].discard_log) << "entry 10 is not ours (Raft figure 13)";
    s.log.held.clear();
    s.log.first = 11;
    s.step(inputs::object_saved{s.last_request(), true, 1, true});
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_TRUE(s.reply().get_ctx()) << "the sign of completion";
    ASSERT_TRUE(s.out.save);
    EXPECT_FALSE(s.out.save->receiving_snapshot);
    ASSERT_TRUE(s.out.save_config);
    EXPECT_EQ(s.out.save_config->get_log_idx(), 9u);
    EXPECT_EQ(s.core->config()->get_servers().size(), 4u);
    EXPECT_EQ(s.core->commit_index(), 10u);
    EXPECT_EQ(s.core->last_log_index(), 10u);
    s.receive(append(2, 2, 10, 2, 10, {app(2)}));
    ASSERT_TRUE(s.out.write);
    EXPECT_EQ(s.out.write->first, 11u);
}

// Raft figure 13, 6: entries behind the snapshot are kept if the log agrees with it.
TEST(snapshot, agreeing_log_is_kept) {
    server s(setup().with_log({1, 1, 1, 1}));
    s.receive(install(1, 2, snapshot_at(3, 1), 0, true));
    ASSERT_EQ(s.out.saves.size(), 1u);
    EXPECT_FALSE(s.out.saves[0].discard_log);
    s.log.compact(3);
    s.step(inputs::object_saved{s.last_request(), true, 1, true});
    EXPECT_EQ(s.core->last_log_index(), 4u);
    EXPECT_EQ(s.core->commit_index(), 3u);
}

// § 24.3: what is covered already is refused with the mark of completion.
TEST(snapshot, known_snapshot_is_refused_as_finished) {
    setup ahead;
    ahead.commit = 3;
    server s(ahead.with_log({1, 1, 1}));
    EXPECT_FALSE(s.core->would_store(*install(1, 2, snapshot_at(3, 1), 0, true)));
    s.receive(install(1, 2, snapshot_at(3, 1), 0, true));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_TRUE(s.reply().get_ctx());
    EXPECT_EQ(s.reply().get_next_idx(), 4u);
    EXPECT_FALSE(s.core->state().receiving_snapshot);
}

// § 24.3: an old leader's snapshot, a malformed one and a declined one are refused.
TEST(snapshot, bad_snapshots_are_refused) {
    server s(setup().in_term(5));
    s.receive(install(4, 2, snapshot_at(9, 1), 0, true));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_TRUE(s.out.saves.empty());
    auto garbage = cs_new<req_msg>(5, msg_type::install_snapshot_request, 2, 1, 1, 9, 9);
    s.receive(garbage);
    EXPECT_FALSE(s.reply().get_accepted());
    garbage->log_entries().push_back(
        cs_new<log_entry>(5, bytes("garbage"), log_val_type::snp_sync_req));
    s.receive(garbage);
    EXPECT_FALSE(s.reply().get_accepted());
    s.receive(install(5, 2, snapshot_at(9, 1), 0, true), true);
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_TRUE(s.out.saves.empty());
    EXPECT_FALSE(s.core->state().receiving_snapshot);
    EXPECT_FALSE(s.core->halted());
}

// § 24.3: a leader of the same term is no receiver (B38: and survives being told to be one).
TEST(snapshot, leader_takes_no_snapshot) {
    server s;
    s.become_leader();
    s.receive(install(s.core->term(), 2, snapshot_at(9, 1), 0, true));
    EXPECT_TRUE(s.dropped());
    EXPECT_TRUE(s.noticed(notice::misbehaving_leader));
    EXPECT_EQ(s.core->role(), srv_role::leader);
}

// A failed save is refused, and the reception stays open.
TEST(snapshot, unsaved_object_is_refused) {
    server s;
    s.receive(install(1, 2, snapshot_at(10, 1), 0, false));
    s.step(inputs::object_saved{s.last_request(), false, 0, false});
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_FALSE(s.reply().get_ctx());
    EXPECT_TRUE(s.core->state().receiving_snapshot);
}

// Raft 5.1 holds here too.
TEST(snapshot, higher_term_is_adopted) {
    server s(setup().in_term(1));
    s.receive(install(4, 2, snapshot_at(10, 1), 0, false));
    EXPECT_EQ(s.core->term(), 4u);
    EXPECT_EQ(s.core->leader(), 2);
    ASSERT_TRUE(s.out.save);
    EXPECT_EQ(s.out.save->term, 4u);
}

// § 24.6, 40.58: a follower in mid-transfer gets a snapshot even if the leader has the entries.
TEST(snapshot, receiving_follower_is_sent_a_snapshot) {
    setup both;
    both.commit = 3;
    both.last_snapshot = snapshot_at(3, 1);
    server s(both.with_log({1, 1, 1, 1}));
    s.become_leader();
    s.answer(s.one_to(2), s.core->term(), 2, false, bytes(std::string("\0\2", 2)));
    ASSERT_EQ(s.out.reads.size(), 1u);
    EXPECT_EQ(s.out.reads[0].peer, 2);
}

// § 23.2: the configuration in force at an index, for the snapshot's description.
TEST(snapshot, configurations_are_remembered_by_index) {
    server s;
    s.receive(append(1, 2, 0, 0, 0,
                     {app(1), conf(1, config_of({1, 2, 3, 4}, 2)), app(1),
                      conf(1, config_of({1, 2, 3, 4, 5}, 4)), app(1)}));
    s.persist();
    s.receive(append(1, 2, 5, 1, 5));
    EXPECT_EQ(s.core->config_at(1)->get_servers().size(), 3u);
    EXPECT_EQ(s.core->config_at(2)->get_servers().size(), 4u);
    EXPECT_EQ(s.core->config_at(3)->get_servers().size(), 4u);
    EXPECT_EQ(s.core->config_at(5)->get_servers().size(), 5u);
    s.step(inputs::snapshot_created{snapshot_at(3, 1, s.core->config_at(3))});
    EXPECT_EQ(s.core->last_snapshot()->get_last_log_idx(), 3u);
    EXPECT_EQ(s.core->config_at(3)->get_servers().size(), 4u);
    EXPECT_EQ(s.core->config_at(5)->get_servers().size(), 5u);
}

// § 39.23: snapshot indexes increase.
TEST(snapshot, older_snapshot_does_not_replace_a_newer_one) {
    setup with;
    with.commit = 3;
    with.last_snapshot = snapshot_at(3, 1);
    server s(with.with_log({1, 1, 1}));
    s.step(inputs::snapshot_created{snapshot_at(2, 1)});
    EXPECT_EQ(s.core->last_snapshot()->get_last_log_idx(), 3u);
}

/// A leader of this many whose others are all sent a snapshot, except 2.
struct sending_snapshots : server {
    explicit sending_snapshots(std::vector<int32_t> members, bool shrink = true,
                               uint64_t config_index = 0)
        : server(kind(members, shrink, config_index)) {
        become_leader();
        const std::vector<outgoing> probes = out.send;
        persist();
        for (const outgoing& o : probes) {
            if (o.peer != 2) answer(o, core->term(), 1, false);
        }
        to_two = probes.front();
    }
    static setup kind(const std::vector<int32_t>& members, bool shrink, uint64_t config_index) {
        setup s = compacted();
        s.config = config_of(members, config_index);
        s.params.exclude_snp_receiver_from_quorum_ = shrink;
        return s;
    }
    outgoing to_two;
};

// § 15.1: receivers of snapshots make the commit quorum smaller, if the program wants that.
TEST(snapshot, receivers_shrink_the_commit_quorum) {
    EXPECT_EQ(sending_snapshots({1, 2, 3, 4}, false).core->commit_quorum(), 3);
    sending_snapshots s({1, 2, 3, 4});
    EXPECT_EQ(s.core->commit_quorum(), 2);
    ASSERT_EQ(s.to_two.peer, 2);
    s.accept(s.to_two);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), s.core->last_log_index());
}

// Raft 5.4.3: but they vote, so the quorum must go on meeting those of elections.
TEST(snapshot, commit_quorum_without_receivers_meets_election_quorums) {
    for (int32_t n = 2; n <= 7; ++n) {
        std::vector<int32_t> members;
        for (int32_t id = 1; id <= n; ++id) members.push_back(id);
        sending_snapshots s(members);
        EXPECT_GT(s.core->commit_quorum() + s.core->election_quorum(), n);
    }
}

/// Admits server `id`; the others accept everything, and it is committed.
void admit(server& s, int32_t id) {
    inputs::add_server in;
    in.number = 5;
    in.server = cs_new<srv_config>(id, endpoint(id));
    s.step(in);
    s.answer(s.one_to(id), 0, s.core->last_log_index() + 1, true);
    const std::vector<outgoing> open = s.out.send;
    s.persist();
    s.settle(open);
}

// Raft 6: while the voters change, a later leader may be elected by the next ones. Four voters and
// two of them are no majority of five.
TEST(snapshot, receivers_count_while_the_voters_change) {
    sending_snapshots s({1, 2, 3, 4});
    s.accept(s.to_two);
    s.answer_question();
    inputs::add_server in;
    in.number = 5;
    in.server = cs_new<srv_config>(5, endpoint(5));
    s.step(in);
    EXPECT_EQ(s.core->commit_quorum(), 2);
    s.answer(s.one_to(5), 0, s.core->last_log_index() + 1, true);
    ASSERT_TRUE(s.core->config_in_progress());
    EXPECT_EQ(s.core->commit_quorum(), 3);
    s.persist();
    s.heartbeat(2);
    s.settle();
    EXPECT_LT(s.core->commit_index(), s.core->last_log_index());
}

// A leader may still be elected by the voters of before the last addition, who do not ask the one
// that was added: that one is no substitute for the receiver.
TEST(snapshot, voter_that_was_added_last_replaces_no_receiver) {
    setup with = compacted();
    with.params.exclude_snp_receiver_from_quorum_ = true;
    server s(with);
    s.lead();
    admit(s, 4);
    ASSERT_EQ(s.core->config()->get_servers().size(), 4u);
    s.heartbeat(4);
    s.settle();
    s.propose();
    const outgoing to_two = s.one_to(2), to_three = s.one_to(3), to_four = s.one_to(4);
    s.durable();
    s.answer(to_three, s.core->term(), 1, false);
    ASSERT_EQ(s.out.reads.size(), 1u);
    EXPECT_EQ(s.core->commit_quorum(), 2);
    s.accept(to_four);
    s.answer_question();
    EXPECT_LT(s.core->commit_index(), s.core->last_log_index()) << "2, 3 may elect one of them";
    s.accept(to_two);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), s.core->last_log_index());
}

// After a restart nobody knows whom the last change of voters added.
TEST(snapshot, receivers_count_if_the_former_voters_are_not_known) {
    sending_snapshots s({1, 2, 3, 4}, true, 3);
    EXPECT_EQ(s.core->commit_quorum(), 3);
    s.accept(s.to_two);
    s.answer_question();
    EXPECT_LT(s.core->commit_index(), s.core->last_log_index());
}

// B30: power failed when the state was installed and the log was not. Nothing else can cure that,
// so the same snapshot is taken once more.
TEST(snapshot, half_installed_snapshot_is_taken_again) {
    setup half;
    half.with_log({1, 1, 1});
    half.commit = 9;
    half.last_snapshot = snapshot_at(9, 1);
    half.state.receiving_snapshot = true;
    server s(half);
    s.receive(install(1, 2, snapshot_at(9, 1), 0, true));
    ASSERT_EQ(s.out.saves.size(), 1u);
    s.log.compact(9);
    s.step(inputs::object_saved{s.out.saves[0].request, true, 1, true});
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_FALSE(s.core->state().receiving_snapshot);
    s.receive(install(1, 2, snapshot_at(9, 1), 0, true));
    EXPECT_TRUE(s.out.saves.empty()) << "now it has it";
}

/// Restarted with a snapshot that ends in this configuration, having saved an older one.
setup behind_its_snapshot(const ptr<cluster_config>& config) {
    setup s;
    s.config = config_of({1, 2, 3}, 1);
    s.with_log({1, 1, 1, 1, 1, 1, 1, 1, 1});
    s.log_start = 10;
    s.commit = 9;
    s.last_snapshot = snapshot_at(9, 1, config);
    return s;
}

// § 24.5: power failed between the end of the reception and the saving of the configuration.
TEST(snapshot, configuration_of_an_installed_snapshot_outlives_a_crash) {
    server s(behind_its_snapshot(config_of({1, 2, 3, 4}, 8)));
    ASSERT_TRUE(s.out.save_config);
    EXPECT_EQ(s.out.save_config->get_log_idx(), 8u);
    EXPECT_TRUE(s.noticed(notice::config_active));
    EXPECT_EQ(s.core->config()->get_servers().size(), 4u);
    EXPECT_FALSE(s.core->config_in_progress());
}

// B30: power failed when the state was installed and the log that it replaces was still there. That
// log is of a leader who lost, and its configurations were never committed.
TEST(snapshot, configurations_of_the_log_that_it_replaces_never_act) {
    setup s;
    s.config = config_of({1, 2, 3}, 1);
    s.with_log({1, 1, 1, 2, 2, 2});
    s.configs = {{5, config_of({1, 2}, 5)}};
    s.commit = 9;
    s.last_snapshot = snapshot_at(9, 3, config_of({1, 2, 3, 4}, 4));
    s.state.receiving_snapshot = true;
    server late(s);
    EXPECT_EQ(late.core->config()->get_log_idx(), 4u);
    EXPECT_FALSE(late.core->config_in_progress());
}

// A voter acts on its own removal once those who stay know of it, over a restart as well.
TEST(snapshot, own_removal_in_a_snapshot_waits_for_the_others) {
    server s(behind_its_snapshot(config_of({2, 3}, 8)));
    EXPECT_EQ(s.core->config()->get_servers().size(), 3u);
    EXPECT_TRUE(s.core->config_in_progress());
    s.receive(append(2, 2, 9, 1, 9));
    EXPECT_TRUE(s.noticed(notice::removed_from_cluster));
    EXPECT_EQ(s.core->config()->get_servers().size(), 2u);
}

// § 39.15: what was waiting for the disk when a snapshot discarded it is never acknowledged.
TEST(snapshot, discarded_entries_are_not_acknowledged) {
    server s;
    s.receive(append(1, 2, 0, 0, 0, {app(1), app(1), app(1)}));
    const uint64_t waiting = s.last_request();
    s.store();
    s.receive(install(2, 3, snapshot_at(2, 2), 0, true));
    ASSERT_TRUE(s.out.saves.at(0).discard_log);
    s.log.held.clear();
    s.log.first = 3;
    s.step(inputs::object_saved{s.out.saves[0].request, true, 1, true});
    bool refused = false;
    for (const reply& r : s.out.replies) {
        refused = refused || (r.request == waiting && !r.msg->get_accepted());
    }
    EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace rules
