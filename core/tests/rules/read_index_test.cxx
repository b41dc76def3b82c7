#include "protocol/read_index.hxx"

#include "fixture.hxx"

// Linearizable reads without an entry in the log: dissertation 6.4.

namespace rules {
namespace {

/// Asks for read `number`; what the step wants is in `s.out`.
const effects& read(server& s, uint64_t number = 1) {
    return s.step(inputs::read_index{number});
}

/// What the last step answered to reads, "1@3" for number 1 at index 3, "1-" for a refusal.
std::string answers(const server& s) {
    std::string text;
    for (const read_answer& r : s.out.read_answers) {
        if (!text.empty()) text += " ";
        text += std::to_string(r.number);
        text += r.index ? "@" + std::to_string(*r.index) : "-";
    }
    return text;
}

std::string at(uint64_t number, uint64_t index) {
    return std::to_string(number) + "@" + std::to_string(index);
}

// "The leader issues a new round of heartbeats and waits for their acknowledgments from a majority"
TEST(read_index, is_answered_when_a_majority_has_confirmed_the_leadership) {
    server s;
    s.lead();
    read(s);
    EXPECT_EQ(answers(s), "");
    const outgoing second = s.one_to(2);
    const outgoing third = s.one_to(3);
    EXPECT_FALSE(s.out.write) << "nothing is written for a read";
    s.accept(second);
    EXPECT_EQ(answers(s), at(1, s.core->commit_index()));
    s.accept(third);
    EXPECT_EQ(answers(s), "") << "once";
}

// A follower of the term that refuses entries has heard us all the same.
TEST(read_index, is_confirmed_by_refusals_of_the_same_term) {
    server s;
    s.lead();
    read(s);
    s.answer(s.one_to(2), s.core->term(), 1, false);
    EXPECT_EQ(answers(s), at(1, s.core->commit_index()));
}

TEST(read_index, is_not_confirmed_by_answers_to_what_was_sent_before) {
    server s;
    s.lead();
    s.propose();
    const std::vector<outgoing> before = s.out.send;
    ASSERT_EQ(before.size(), 2u);
    read(s);
    EXPECT_TRUE(s.out.send.empty()) << "both are busy";
    s.accept(before[0]);
    EXPECT_EQ(answers(s), "");
    const outgoing after = s.one_to(before[0].peer);
    s.accept(before[1]);
    EXPECT_EQ(answers(s), "") << "a majority, but of answers to older requests";
    s.accept(after);
    EXPECT_EQ(answers(s), at(1, s.core->commit_index()));
}

TEST(read_index, is_not_confirmed_by_an_answer_of_an_earlier_term) {
    server s;
    s.lead();
    read(s);
    s.answer(s.one_to(2), s.core->term() - 1, 1, false);
    EXPECT_EQ(answers(s), "");
}

TEST(read_index, is_not_confirmed_by_learners) {
    setup with_learner;
    with_learner.config->get_server(3)->set_learner(true);
    server s(with_learner);
    s.lead();
    read(s);
    EXPECT_TRUE(s.sent(3).empty());
    const outgoing voter = s.one_to(2);
    s.heartbeat(3);
    s.accept(s.one_to(3));
    EXPECT_EQ(answers(s), "");
    s.accept(voter);
    EXPECT_EQ(answers(s), at(1, s.core->commit_index()));
}

TEST(read_index, needs_nobody_else_where_one_votes) {
    setup alone;
    alone.config = config_of({1});
    server s(alone);
    s.election_timeout();
    s.persist();
    ASSERT_EQ(s.core->role(), srv_role::leader);
    read(s);
    EXPECT_EQ(answers(s), at(1, s.core->commit_index()));
}

// The one who was elected by few must be known not to be there by many.
TEST(read_index, meets_elections_of_any_size) {
    setup small_elections;
    small_elections.params.custom_election_quorum_size_ = 1;
    server s(small_elections);
    s.election_timeout();
    const std::vector<outgoing> first = s.out.send;
    ASSERT_EQ(s.core->role(), srv_role::leader);
    s.persist();
    for (const outgoing& o : first) s.accept(o);
    s.answer_question();
    s.settle();
    read(s);
    const outgoing third = s.one_to(3);
    s.accept(s.one_to(2));
    EXPECT_EQ(answers(s), "");
    s.accept(third);
    EXPECT_EQ(answers(s), at(1, s.core->commit_index()));
}

// Reads that wait share what is sent, and are answered in the order in which they came.
TEST(read_index, shares_one_request_to_each_member) {
    server s;
    s.lead();
    read(s, 1);
    const outgoing first = s.one_to(2);
    read(s, 2);
    EXPECT_TRUE(s.out.send.empty());
    read(s, 3);
    EXPECT_TRUE(s.out.send.empty());
    s.accept(first);
    const uint64_t commit = s.core->commit_index();
    EXPECT_EQ(answers(s), at(1, commit));
    s.accept(s.one_to(2));
    EXPECT_EQ(answers(s), at(2, commit) + " " + at(3, commit));
    EXPECT_TRUE(s.sent(2).empty()) << "nobody waits any more";
}

// A lost request is made up for by the next heartbeat.
TEST(read_index, survives_a_lost_request) {
    server s;
    s.lead();
    read(s);
    s.send_failed(s.one_to(2));
    EXPECT_EQ(answers(s), "");
    s.heartbeat(2);
    s.accept(s.one_to(2));
    EXPECT_EQ(answers(s), at(1, s.core->commit_index()));
}

// "If the leader has not yet marked an entry from its current term committed, it waits until it
// has done so."
TEST(read_index, of_a_new_leader_waits_for_its_first_entry) {
    server s(setup().with_log({1, 1, 1}));
    s.become_leader();
    const std::vector<outgoing> first = s.out.send;
    ASSERT_EQ(first.size(), 2u);
    s.store();
    s.durable();
    EXPECT_EQ(s.core->commit_index(), 0u);
    read(s);
    // Confirmed, by one who does not have the entry yet.
    s.answer(first[0], s.core->term(), 2, false);
    const outgoing again = s.one_to(first[0].peer);
    s.answer(again, s.core->term(), 2, true);
    EXPECT_EQ(answers(s), "");
    s.accept(s.one_to(first[0].peer));
    s.answer_question();
    EXPECT_EQ(s.core->commit_index(), 4u);
    EXPECT_EQ(answers(s), at(1, 4));
}

TEST(read_index, is_refused_by_whoever_does_not_lead) {
    server s;
    read(s);
    EXPECT_EQ(answers(s), "1-");
}

TEST(read_index, is_refused_when_the_leadership_ends) {
    server deposed;
    deposed.lead();
    read(deposed);
    deposed.receive(append(deposed.core->term() + 1, 2, 0, 0, 0));
    EXPECT_EQ(answers(deposed), "1-");

    server resigned;
    resigned.lead();
    read(resigned);
    resigned.step(inputs::yield{true, -1});
    EXPECT_EQ(answers(resigned), "1-");

    server failed;
    failed.lead();
    read(failed);
    failed.step(inputs::log_failed{});
    EXPECT_EQ(answers(failed), "1-");

    server stopped;
    stopped.lead();
    read(stopped);
    stopped.step(inputs::stop{});
    EXPECT_EQ(answers(stopped), "1-");
    read(stopped, 2);
    EXPECT_EQ(answers(stopped), "2-");
}

// A leader that hands over leads until it lets go.
TEST(read_index, is_answered_while_the_leadership_is_handed_over) {
    server s;
    s.lead();
    s.propose();
    const outgoing busy = s.one_to(3);
    s.step(inputs::yield{false, 2});
    read(s, 1);
    s.accept(busy);
    s.accept(s.one_to(3));
    EXPECT_EQ(s.core->role(), srv_role::leader);
    EXPECT_EQ(answers(s), at(1, s.core->commit_index()));
}

// A follower's question is a notification of a type of its own.
TEST(read_index, of_a_follower_is_answered_with_a_context) {
    server s;
    s.lead();
    ptr<req_msg> question = read_index_question(3, 1);
    s.receive(question);
    EXPECT_TRUE(s.out.replies.empty());
    s.accept(s.one_to(2));
    ASSERT_EQ(s.out.replies.size(), 1u);
    resp_msg& resp = s.reply();
    EXPECT_EQ(resp.get_type(), msg_type::custom_notification_response);
    EXPECT_TRUE(resp.get_accepted());
    const read_index_reply told = read_index_reply_in(resp.get_ctx());
    EXPECT_TRUE(told.understood);
    EXPECT_EQ(told.index, s.core->commit_index());
    EXPECT_EQ(s.core->role(), srv_role::leader);

    server follower;
    follower.receive(question);
    const read_index_reply refusal = read_index_reply_in(follower.reply().get_ctx());
    EXPECT_TRUE(refusal.understood);
    EXPECT_FALSE(refusal.index);
}

// NuRaft answers a notification that it does not know without a context (wire 3.16).
TEST(read_index, tells_whether_the_leader_knows_the_question) {
    EXPECT_FALSE(read_index_reply_in(nullptr).understood);
    EXPECT_FALSE(read_index_reply_in(bytes("short")).understood);
    ptr<buffer> other_version = read_index_context(7);
    other_version->data_begin()[0] = 1;
    EXPECT_FALSE(read_index_reply_in(other_version).understood);
    EXPECT_EQ(read_index_reply_in(read_index_context(7)).index, 7u);
}

}  // namespace
}  // namespace rules
