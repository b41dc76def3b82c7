#include "fixture.hxx"

// The program's choice of terms: § 2.3, 40.12.

namespace rules {
namespace {

// § 2.3: a candidate takes the term that it is given.
TEST(term, program_chooses_the_candidacys_term) {
    server s;
    s.next_term = 4711;
    s.become_leader();
    EXPECT_EQ(s.core->term(), 4711u);
    ASSERT_TRUE(s.out.write);
    EXPECT_EQ(s.out.write->entries[0]->get_term(), 4711u);
}

// § 2.3, 39.3: what is asked is the present term, before anything is saved or sent.
TEST(term, question_comes_before_the_candidacy) {
    memory_log log;
    recovered from;
    from.state.term = 7;
    from.config = config_of({1});
    settings s;
    s.id = 1;
    s.params = setup().params;
    raft alone(s, 1, log, from);
    effects out;
    alone.step(0, inputs::start{}, out);
    out = effects();
    alone.step(10000, inputs::timer_fired{timer_kind::election, -1}, out);
    ASSERT_TRUE(out.candidacy);
    EXPECT_EQ(out.candidacy->current, 7u);
    EXPECT_FALSE(out.save);
    EXPECT_EQ(alone.term(), 7u);
    out = effects();
    alone.step(10000, inputs::term_answer{9}, out);
    ASSERT_TRUE(out.save);
    EXPECT_EQ(out.save->term, 9u);
    EXPECT_EQ(out.save->voted_for, 1);
}

// § 2.3: a term that is not greater is refused; the election is tried again later.
TEST(term, term_that_does_not_grow_is_refused) {
    setup late;
    late.in_term(5);
    late.config = config_of({1});
    server s(late);
    for (uint64_t bad : {5u, 3u}) {
        s.next_term = bad;
        s.election_timeout();
        EXPECT_EQ(s.core->term(), 5u);
        EXPECT_FALSE(s.out.save);
        EXPECT_GT(s.armed(timer_kind::election), 0);
    }
    s.next_term = 6;
    s.election_timeout();
    EXPECT_EQ(s.core->term(), 6u);
    EXPECT_EQ(s.core->role(), srv_role::leader);
}

// An answer that nobody asked for changes nothing.
TEST(term, unasked_answer_is_ignored) {
    server s;
    s.step(inputs::term_answer{9});
    EXPECT_EQ(s.core->term(), 0u);
    EXPECT_FALSE(s.out.save);
}

}  // namespace
}  // namespace rules
