#include "fixture.hxx"

// Members coming, going and changing: Raft section 6, dissertation 4; § 25-28.

namespace rules {
namespace {

cmd_result_code add(server& s, int32_t id) {
    inputs::add_server in;
    in.number = 5;
    in.server = cs_new<srv_config>(id, endpoint(id));
    s.step(in);
    EXPECT_EQ(s.out.answers.size(), 1u);
    return s.out.answers.at(0).code;
}

cmd_result_code remove(server& s, int32_t id) {
    inputs::remove_server in;
    in.number = 5;
    in.server = id;
    s.step(in);
    EXPECT_EQ(s.out.answers.size(), 1u);
    return s.out.answers.at(0).code;
}

/// Server 4 accepts its invitation; `s.out` is that of this step.
void accept_invitation(server& s) {
    ASSERT_EQ(add(s, 4), cmd_result_code::OK);
    const outgoing invitation = s.one_to(4);
    ASSERT_EQ(invitation.msg->get_type(), msg_type::join_cluster_request);
    s.answer(invitation, 0, 1, true);
}

/// The newest configuration in the leader's log.
ptr<cluster_config> newest_config(const server& s) {
    for (auto e = s.log.held.rbegin(); e != s.log.held.rend(); ++e) {
        if ((*e)->get_val_type() == log_val_type::conf) return config_in(*e);
    }
    return nullptr;
}

// § 25.1.
TEST(membership, add_server_checks) {
    server follower;
    EXPECT_EQ(add(follower, 4), cmd_result_code::NOT_LEADER);
    server fresh;
    fresh.become_leader();
    EXPECT_EQ(add(fresh, 4), cmd_result_code::CONFIG_CHANGING)
        << "not before its first entry has committed (B36)";
    server s;
    s.lead();
    EXPECT_EQ(add(s, 1), cmd_result_code::SERVER_ALREADY_EXISTS);
    EXPECT_EQ(add(s, 2), cmd_result_code::SERVER_ALREADY_EXISTS);
    inputs::add_server nobody;
    s.step(nobody);
    EXPECT_EQ(s.out.answers.at(0).code, cmd_result_code::BAD_REQUEST);
    EXPECT_EQ(add(s, 4), cmd_result_code::OK);
    EXPECT_TRUE(s.out.answers.at(0).accepted);
    EXPECT_EQ(add(s, 5), cmd_result_code::SERVER_IS_JOINING);
}

// § 25.2: the invitation carries the committed configuration, without the new one.
TEST(membership, invitation_carries_the_configuration) {
    server s;
    s.lead();
    add(s, 4);
    req_msg& msg = *s.one_to(4).msg;
    ASSERT_EQ(msg.log_entries().size(), 1u);
    const ptr<cluster_config> config = config_in(msg.log_entries()[0]);
    EXPECT_EQ(config->get_servers().size(), 3u);
    EXPECT_FALSE(config->get_server(4));
    EXPECT_EQ(s.out.connections.at(0).what, connection_change::open);
}

// § 25.4, 25.5: one that is near enough is admitted by a configuration entry, decided by the old
// members, and served from its commit on.
TEST(membership, admission_is_decided_by_the_old_members) {
    server s;
    s.lead();
    accept_invitation(s);
    ASSERT_TRUE(s.out.write);
    const uint64_t index = s.out.write->first;
    EXPECT_EQ(config_in(s.out.write->entries[0])->get_servers().size(), 4u);
    EXPECT_EQ(config_in(s.out.write->entries[0])->get_log_idx(), index);
    EXPECT_TRUE(s.core->config_in_progress());
    const outgoing to_two = s.one_to(2);
    s.store();
    s.durable();
    EXPECT_LT(s.core->commit_index(), index);
    s.accept(to_two);
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), index) << "2 of 3";
    EXPECT_EQ(s.core->config()->get_servers().size(), 4u);
    EXPECT_EQ(s.armed(timer_kind::heartbeat, 4), 100);
    EXPECT_EQ(s.core->commit_quorum(), 3) << "from now on 3 of 4";
}

// § 25.4: one that is far behind gets packs of committed entries first.
TEST(membership, far_joiner_gets_packs) {
    setup slow;
    slow.params.log_sync_stop_gap_ = 2;
    slow.params.log_sync_batch_size_ = 3;
    server s(slow);
    s.lead();
    for (int i = 0; i < 8; ++i) {
        s.propose();
        s.settle();
        s.durable();
        s.settle();
    }
    accept_invitation(s);
    outgoing pack = s.one_to(4);
    EXPECT_EQ(pack.msg->get_type(), msg_type::sync_log_request);
    EXPECT_EQ(pack.msg->get_last_log_idx(), 0u);
    s.answer(pack, s.core->term(), 4, true);
    pack = s.one_to(4);
    EXPECT_EQ(pack.msg->get_last_log_idx(), 3u);
    s.answer(pack, s.core->term(), s.core->commit_index(), true);
    EXPECT_TRUE(s.core->config_in_progress()) << "near enough now";
}

// B32: refused packs do not go on for ever.
TEST(membership, refused_packs_end_the_join) {
    setup slow;
    slow.params.log_sync_stop_gap_ = 1;
    server s(slow);
    s.lead();
    for (int i = 0; i < 5; ++i) {
        s.propose();
        s.settle();
        s.durable();
        s.settle();
    }
    accept_invitation(s);
    bool failed = false;
    for (int i = 0; i < 10 && !failed; ++i) {
        s.answer(s.one_to(4), s.core->term(), 1, false);
        failed = s.noticed(notice::server_join_failed);
    }
    EXPECT_TRUE(failed);
    EXPECT_EQ(add(s, 4), cmd_result_code::OK) << "it may be tried again";
}

// § 25.4: a joiner behind the log's start gets a snapshot.
TEST(membership, joiner_behind_the_log_gets_a_snapshot) {
    setup slow;
    slow.params.log_sync_stop_gap_ = 1;
    slow.with_log({1, 1, 1, 1});
    slow.log_start = 5;
    slow.commit = 4;
    slow.last_snapshot = snapshot_at(4, 1);
    server s(slow);
    s.lead();
    accept_invitation(s);
    ASSERT_EQ(s.out.reads.size(), 1u);
    EXPECT_EQ(s.out.reads[0].peer, 4);
    s.step(inputs::object_read{s.out.reads[0].transfer, 0, bytes("d"), true});
    s.answer(s.one_to(4), s.core->term(), 1, true, bytes("!"));
    EXPECT_TRUE(s.core->config_in_progress()) << "admitted";
}

// B32: a refused invitation is reported at once.
TEST(membership, refused_invitation_is_reported) {
    server s;
    s.lead();
    add(s, 4);
    s.answer(s.one_to(4), s.core->term(), 0, false);
    ASSERT_TRUE(s.noticed(notice::server_join_failed));
    EXPECT_EQ(add(s, 5), cmd_result_code::OK);
}

// § 25.6, B33: an unreachable one is tried again, over a new connection, and then given up.
TEST(membership, unreachable_invitee_is_given_up) {
    server s;
    s.lead();
    add(s, 4);
    bool failed = false;
    bool redialled = false;
    outgoing invitation = s.one_to(4);
    for (int i = 0; i < 20 && !failed; ++i) {
        s.send_failed(invitation);
        failed = s.noticed(notice::server_join_failed);
        if (failed) break;
        ASSERT_GT(s.armed(timer_kind::retry), 0);
        s.now += s.armed(timer_kind::retry);
        s.step(inputs::timer_fired{timer_kind::retry, -1});
        for (const connection_change& c : s.out.connections) {
            redialled = redialled || (c.peer == 4 && c.what == connection_change::replace);
        }
        invitation = s.one_to(4);
    }
    EXPECT_TRUE(failed);
    EXPECT_TRUE(redialled);
}

// § 25.7: with the new-joiner type it is in the configuration, but does not vote or count yet.
TEST(membership, new_joiner_is_promoted_when_it_is_near) {
    setup gentle;
    gentle.params.use_new_joiner_type_ = true;
    gentle.params.log_sync_stop_gap_ = 1;
    server s(gentle);
    s.lead();
    accept_invitation(s);
    ASSERT_TRUE(s.out.write);
    EXPECT_TRUE(config_in(s.out.write->entries[0])->get_server(4)->is_new_joiner());
    const outgoing to_two = s.one_to(2);
    s.store();
    s.durable();
    s.accept(to_two);
    s.answer_question();
    ASSERT_EQ(s.core->config()->get_servers().size(), 4u);
    EXPECT_EQ(s.core->commit_quorum(), 2) << "of three: the joiner does not count";
    s.settle();
    EXPECT_FALSE(newest_config(s)->get_server(4)->is_new_joiner()) << "promoted";
}

// § 26.1.
TEST(membership, remove_server_checks) {
    server follower;
    EXPECT_EQ(remove(follower, 2), cmd_result_code::NOT_LEADER);
    server fresh;
    fresh.become_leader();
    EXPECT_EQ(remove(fresh, 2), cmd_result_code::CONFIG_CHANGING);
    server s;
    s.lead();
    EXPECT_EQ(remove(s, 1), cmd_result_code::CANNOT_REMOVE_LEADER);
    EXPECT_EQ(remove(s, 9), cmd_result_code::SERVER_NOT_FOUND);
    EXPECT_EQ(remove(s, 3), cmd_result_code::OK);
    EXPECT_EQ(remove(s, 2), cmd_result_code::SERVER_IS_LEAVING);
}

// § 26.2, 26.3: the server is asked; when it agrees the smaller configuration is appended, and it
// does not count any more.
TEST(membership, removal_asks_first) {
    server s;
    s.lead();
    remove(s, 3);
    const outgoing request = s.one_to(3);
    EXPECT_EQ(request.msg->get_type(), msg_type::leave_cluster_request);
    EXPECT_FALSE(s.out.write);
    s.answer(request, s.core->term(), 2, true);
    ASSERT_TRUE(s.out.write);
    const ptr<cluster_config> smaller = config_in(s.out.write->entries[0]);
    EXPECT_EQ(smaller->get_servers().size(), 2u);
    EXPECT_FALSE(smaller->get_server(3));
    EXPECT_EQ(s.core->commit_quorum(), 2) << "of two";
}

// § 26.4, 40.43: the leaver hears that its removal is committed, then it is dropped.
TEST(membership, leaver_is_served_until_it_knows) {
    server s;
    s.lead();
    remove(s, 3);
    s.answer(s.one_to(3), s.core->term(), 2, true);
    const uint64_t removal = s.out.write->first;
    const outgoing to_two = s.one_to(2);
    const outgoing to_three = s.one_to(3);
    s.store();
    s.durable();
    s.accept(to_two);
    s.answer_question();
    ASSERT_EQ(s.core->commit_index(), removal);
    EXPECT_EQ(s.core->config()->get_servers().size(), 2u);
    s.accept(to_three);
    const outgoing last = s.one_to(3);
    EXPECT_GE(last.msg->get_commit_idx(), removal);
    s.accept(last);
    ASSERT_FALSE(s.out.connections.empty());
    EXPECT_EQ(s.out.connections.back().what, connection_change::close);
    EXPECT_EQ(s.out.connections.back().peer, 3);
    EXPECT_EQ(s.core->peers(s.now).size(), 1u);
}

// § 26.4, 40.44: a dead server is removed after leave_limit heartbeats.
TEST(membership, dead_server_is_removed_by_force) {
    server s;
    s.lead();
    remove(s, 3);
    int beats = 0;
    while (!s.out.write && beats < 10) {
        s.heartbeat(3);
        ++beats;
    }
    EXPECT_EQ(beats, 5);
    ASSERT_TRUE(s.out.write);
    EXPECT_FALSE(config_in(s.out.write->entries[0])->get_server(3));
}

// B34: never a cluster without voters.
TEST(membership, last_voter_stays) {
    setup one_voter;
    one_voter.config = config_of({1, 2});
    one_voter.config->get_server(2)->set_learner(true);
    server s(one_voter);
    s.lead();
    inputs::set_learner in;
    in.server = 1;
    in.learner = true;
    s.step(in);
    EXPECT_EQ(s.out.answers.at(0).code, cmd_result_code::BAD_REQUEST);
    EXPECT_FALSE(s.out.write);
}

// § 25.7: becoming a learner or a voter is a configuration entry; checks first.
TEST(membership, learner_flag_is_flipped_by_an_entry) {
    server s;
    s.lead();
    inputs::set_learner in;
    in.server = 3;
    in.learner = true;
    s.step(in);
    EXPECT_EQ(s.out.answers.at(0).code, cmd_result_code::OK);
    ASSERT_TRUE(s.out.write);
    EXPECT_TRUE(config_in(s.out.write->entries[0])->get_server(3)->is_learner());
    EXPECT_EQ(s.core->commit_quorum(), 2) << "takes effect at commit";
    s.step(in);
    EXPECT_EQ(s.out.answers.at(0).code, cmd_result_code::CONFIG_CHANGING);
    server t;
    t.lead();
    in.server = 9;
    t.step(in);
    EXPECT_EQ(t.out.answers.at(0).code, cmd_result_code::SERVER_NOT_FOUND);
    in.server = 2;
    in.learner = false;
    t.step(in);
    EXPECT_EQ(t.out.answers.at(0).code, cmd_result_code::OK);
    EXPECT_FALSE(t.out.write) << "it is a voter already";
}

// B35: attribute changes build on the newest configuration and carry their true index.
TEST(membership, attribute_changes_build_on_each_other) {
    server s;
    s.lead();
    inputs::set_user_context context;
    context.context = "hello";
    s.step(context);
    s.store();
    inputs::set_priority priority;
    priority.server = 2;
    priority.priority = 42;
    s.step(priority);
    ASSERT_TRUE(s.out.write);
    const ptr<cluster_config> config = config_in(s.out.write->entries[0]);
    EXPECT_EQ(config->get_user_ctx(), "hello");
    EXPECT_EQ(config->get_server(2)->get_priority(), 42);
    EXPECT_EQ(config->get_log_idx(), s.out.write->first);
    EXPECT_EQ(config->get_prev_log_idx(), s.out.write->first - 1) << "a chain (§ 0)";
    server follower;
    follower.step(context);
    EXPECT_EQ(follower.out.answers.at(0).code, cmd_result_code::NOT_LEADER);
    EXPECT_FALSE(follower.out.write);
}

// § 25.3: an invited single server gives itself up to the cluster.
TEST(membership, invited_server_catches_up) {
    setup single;
    single.config = config_of({1});
    single.state.election_timer_allowed = false;
    server s(single);
    s.receive(join(7, 2, config_of({2, 3}, 12)));
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_EQ(s.reply().get_next_idx(), 1u);
    ASSERT_TRUE(s.out.save);
    EXPECT_TRUE(s.out.save->catching_up);
    EXPECT_EQ(s.out.save->term, 7u);
    ASSERT_TRUE(s.out.save_config);
    EXPECT_EQ(s.out.save_config->get_log_idx(), 12u);
    EXPECT_EQ(s.core->leader(), 2);
    EXPECT_FALSE(s.noticed(notice::removed_from_cluster)) << "being absent is expected";
    EXPECT_FALSE(s.noticed(notice::joined_cluster));
}

// § 25.5: it has joined when it commits a configuration with itself in it.
TEST(membership, joiner_has_joined_when_it_commits_itself) {
    setup single;
    single.config = config_of({1});
    server s(single);
    s.receive(join(7, 2, config_of({2, 3}, 0)));
    s.receive(append(7, 2, 0, 0, 1, {conf(7, config_of({1, 2, 3}, 1))}));
    EXPECT_FALSE(s.noticed(notice::joined_cluster));  // Committed, but not on its own disk yet.
    s.persist();
    EXPECT_TRUE(s.noticed(notice::joined_cluster));
    EXPECT_FALSE(s.core->state().catching_up);
    EXPECT_GE(s.armed(timer_kind::election), 200);
}

// § 25.3: members of another cluster refuse; members of the same one accept idempotently.
TEST(membership, invitation_to_a_member) {
    server s(setup().in_term(5));
    s.receive(join(7, 8, config_of({8, 9})));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.core->term(), 5u);
    s.receive(join(7, 2, config_of({2, 3})));
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_FALSE(s.out.save);
    EXPECT_FALSE(s.core->state().catching_up);
}

// § 25.2: an invitation comes with a configuration without the invited. One that has it would make
// a cluster of one a voter at once, in a term that it has left behind.
TEST(membership, nobody_is_a_member_by_invitation) {
    setup single;
    single.config = config_of({1});
    server s(single.in_term(5));
    s.receive(join(3, 2, config_of({1, 2}, 7)));
    EXPECT_FALSE(s.reply().get_accepted());
    EXPECT_EQ(s.core->term(), 5u);
    EXPECT_EQ(s.core->config()->get_servers().size(), 1u);
    s.receive(join(3, 2, config_of({2}, 7)));
    EXPECT_TRUE(s.reply().get_accepted());
}

/// Was a cluster of one up to term 4 and joins another that has counted to 2 only.
setup far_counted() {
    setup single;
    single.config = config_of({1});
    single.with_log({3, 4});
    single.configs = {{1, config_of({1}, 1)}, {2, config_of({1}, 2)}};
    return single;
}

// § 25.3: entries from before the join are of another log. Their terms keep nobody from being
// elected: the only one who can lead may need this vote.
TEST(membership, log_from_before_the_join_denies_nobody_a_vote) {
    server s(far_counted());
    s.receive(join(2, 2, config_of({2}, 73)));
    ASSERT_TRUE(s.reply().get_accepted());
    s.receive(vote(3, 2, 73, 2));
    EXPECT_TRUE(s.reply().get_accepted());

    setup restarted = far_counted();
    restarted.in_term(3).config = config_of({2}, 73);
    restarted.state.catching_up = true;
    server again(restarted);
    again.receive(vote(4, 2, 73, 2));
    EXPECT_TRUE(again.reply().get_accepted());

    // Power failed after it had accepted and before it had saved the cluster's configuration.
    setup half = far_counted();
    half.config = config_of({1}, 1);
    half.state.catching_up = true;
    server late(half);
    late.receive(vote(5, 2, 73, 2));
    EXPECT_TRUE(late.reply().get_accepted());
}

// Raft 5.4.1: the founder of a cluster that left, joined again and restarted also finds that its
// log begins with itself alone. But this is the cluster's log, and it may have acknowledged it.
TEST(membership, founder_that_joined_again_keeps_its_log) {
    setup founder;
    founder.config = config_of({2}, 3);  // With which it was invited.
    founder.with_log({1, 1, 1, 1, 1});
    founder.configs = {{1, config_of({1}, 1)},
                       {2, config_of({1, 2}, 2)},
                       {3, config_of({2}, 3)},
                       {4, config_of({1, 2}, 4)}};
    founder.state.catching_up = true;
    server s(founder);
    s.receive(vote(2, 2, 4, 1));
    EXPECT_FALSE(s.reply().get_accepted());
    s.receive(append(2, 2, 5, 1, 4));
    EXPECT_TRUE(s.reply().get_accepted()) << "it holds entry 5";
}

// B31: a vote given in a term is not forgotten in that term.
TEST(membership, invitation_does_not_erase_a_vote) {
    setup single;
    single.config = config_of({1});
    server s(single.in_term(7, 4));
    s.receive(join(7, 2, config_of({2, 3})));
    EXPECT_TRUE(s.reply().get_accepted());
    EXPECT_EQ(s.core->state().voted_for, 4);
}

// § 25.3, 40.36: two single servers inviting each other end with the lower id as leader.
TEST(membership, mutual_invitations_are_settled_by_id) {
    setup low;
    low.config = config_of({1});
    server lower(low);
    lower.election_timeout();
    lower.persist();
    add(lower, 5);
    lower.receive(join(9, 5, config_of({5})));
    EXPECT_FALSE(lower.reply().get_accepted());
    setup high;
    high.id = 5;
    high.config = config_of({5});
    server higher(high);
    higher.election_timeout();
    higher.persist();
    add(higher, 1);
    auto invitation = cs_new<req_msg>(9, msg_type::join_cluster_request, 1, 5, 0, 0, 0);
    invitation->log_entries().push_back(conf(9, config_of({1})));
    higher.receive(invitation);
    ASSERT_FALSE(higher.out.replies.empty());
    EXPECT_TRUE(higher.out.replies.back().msg->get_accepted());
    EXPECT_EQ(higher.core->role(), srv_role::follower);
}

// § 26.3: a member agrees to leave unless a configuration is pending.
TEST(membership, leaver_agrees_unless_a_configuration_is_pending) {
    auto leave = [](uint64_t term) {
        return cs_new<req_msg>(term, msg_type::leave_cluster_request, 2, 1, 0, 0, 0);
    };
    server s(setup().in_term(1));
    s.receive(append(1, 2, 0, 0, 0));
    s.receive(leave(1));
    EXPECT_TRUE(s.reply().get_accepted());
    server busy(setup().in_term(1));
    busy.receive(append(1, 2, 0, 0, 0, {conf(1, config_of({1, 2}, 1))}));
    busy.persist();
    busy.receive(leave(1));
    EXPECT_FALSE(busy.reply().get_accepted());
}

// § 26.5, 40.43: a removed server falls silent after two more timeouts, for good.
TEST(membership, removed_server_falls_silent) {
    server s;
    s.receive(append(1, 2, 0, 0, 1, {conf(1, config_of({2, 3}, 1))}));
    s.persist();
    EXPECT_TRUE(s.noticed(notice::removed_from_cluster));
    s.election_timeout();
    EXPECT_TRUE(s.out.send.empty());
    s.election_timeout();
    EXPECT_TRUE(s.out.send.empty());
    ASSERT_TRUE(s.out.save);
    EXPECT_FALSE(s.out.save->election_timer_allowed);
    EXPECT_EQ(s.core->role(), srv_role::follower);
}

// § 26.3: one that agreed to leave and is a member still takes part again after two timeouts.
TEST(membership, member_that_was_not_removed_does_not_fall_silent) {
    server s(setup().in_term(1));
    s.receive(append(1, 2, 0, 0, 0));
    s.receive(cs_new<req_msg>(1, msg_type::leave_cluster_request, 2, 1, 0, 0, 0));
    ASSERT_TRUE(s.reply().get_accepted());
    for (int i = 0; i < 4; ++i) s.election_timeout();
    EXPECT_TRUE(s.core->state().election_timer_allowed);
    EXPECT_EQ(s.core->role(), srv_role::candidate);
}

// However silent, nobody is a majority of its own.
TEST(membership, silenced_member_does_not_elect_itself) {
    server s(setup().in_term(1));
    s.election_timeout();
    for (const outgoing& o : s.sent(msg_type::pre_vote_request)) s.answer(o, 1, all_ones, false);
    s.election_timeout();
    s.election_timeout();
    ASSERT_FALSE(s.core->state().election_timer_allowed);
    EXPECT_EQ(s.core->election_quorum(), 2);
    s.receive(append(1, 2, 0, 0, 0));
    s.election_timeout();
    s.election_timeout();
    s.election_timeout();
    EXPECT_EQ(s.core->term(), 1u);
    EXPECT_NE(s.core->role(), srv_role::leader);
}

// § 8.1, 40.46: a new leader carries an uncommitted removal on.
TEST(membership, uncommitted_removal_is_carried_on) {
    server s;
    s.receive(append(1, 2, 0, 0, 0, {conf(1, config_of({1, 2}, 1))}));
    s.persist();
    s.become_leader();
    ASSERT_TRUE(s.out.write);
    const ptr<cluster_config> again = config_in(s.out.write->entries[0]);
    EXPECT_EQ(again->get_servers().size(), 2u);
    EXPECT_EQ(again->get_log_idx(), 2u);
}

// § 2.1: a configuration found in the log at start is in progress, and not in force.
TEST(membership, configuration_in_the_log_at_start_is_in_progress) {
    memory_log log;
    log.held = {conf(1, config_of({1, 2}, 1))};
    recovered from;
    from.config = config_of({1, 2, 3});
    from.state.term = 1;
    const setup plain;
    raft core(settings{1, plain.params, plain.limits}, 1, log, from);
    EXPECT_TRUE(core.config_in_progress());
    EXPECT_EQ(core.config()->get_servers().size(), 3u);
}

}  // namespace
}  // namespace rules
