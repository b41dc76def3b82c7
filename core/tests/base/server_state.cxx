#include <gtest/gtest.h>

#include <stdexcept>

#include "hex.hxx"
#include "objects.hxx"
#include "srv_state.hxx"

using namespace nuraft;

TEST(srv_state, defaults) {
    srv_state state;
    EXPECT_EQ(0u, state.get_term());
    EXPECT_EQ(-1, state.get_voted_for());
    EXPECT_TRUE(state.is_election_timer_allowed());
    EXPECT_FALSE(state.is_catching_up());
    EXPECT_FALSE(state.is_receiving_snapshot());
}

TEST(srv_state, setters) {
    srv_state state;
    state.set_term(4);
    state.set_voted_for(2);
    state.allow_election_timer(false);
    state.set_catching_up(true);
    state.set_receiving_snapshot(true);
    EXPECT_EQ(4u, state.get_term());
    EXPECT_EQ(2, state.get_voted_for());
    EXPECT_FALSE(state.is_election_timer_allowed());
    EXPECT_TRUE(state.is_catching_up());
    EXPECT_TRUE(state.is_receiving_snapshot());
}

TEST(srv_state, term_grows_by_one_or_as_the_function_says) {
    srv_state state(5, -1, true, false, false);
    state.inc_term();
    EXPECT_EQ(6u, state.get_term());
    state.set_inc_term_func([](ulong term) { return term * 2; });
    state.inc_term();
    EXPECT_EQ(12u, state.get_term());
    state.set_inc_term_func([](ulong term) { return term; });
    EXPECT_THROW(state.inc_term(), std::logic_error);
    EXPECT_EQ(12u, state.get_term());
}

TEST(srv_state, writes_the_documented_bytes) {
    srv_state state(5, 2, true, false, false);
    EXPECT_EQ(vectors::o7, to_hex(*state.serialize_v0()));
    EXPECT_EQ(vectors::o8, to_hex(*state.serialize_v1p(1)));
    EXPECT_EQ(vectors::o9, to_hex(*state.serialize_v1p(2)));
    EXPECT_EQ(vectors::o9, to_hex(*state.serialize()));
    EXPECT_EQ(0u, state.serialize()->pos());
    EXPECT_EQ(vectors::o10,
              to_hex(*srv_state(0x0102030405060708, -1, false, true, true).serialize()));
    EXPECT_THROW(state.serialize_v1p(0), std::invalid_argument);
}

TEST(srv_state, reads_every_version) {
    for (const std::string& hex : {vectors::o7, vectors::o8, vectors::o9}) {
        ptr<srv_state> state = srv_state::deserialize(*from_hex(hex));
        EXPECT_EQ(5u, state->get_term());
        EXPECT_EQ(2, state->get_voted_for());
        EXPECT_TRUE(state->is_election_timer_allowed());
        EXPECT_FALSE(state->is_catching_up());
        EXPECT_FALSE(state->is_receiving_snapshot());
    }
    ptr<buffer> bytes = from_hex(vectors::o10);
    bytes->pos(5);
    ptr<srv_state> o10 = srv_state::deserialize(*bytes);
    EXPECT_EQ(0x0102030405060708u, o10->get_term());
    EXPECT_EQ(-1, o10->get_voted_for());
    EXPECT_FALSE(o10->is_election_timer_allowed());
    EXPECT_TRUE(o10->is_catching_up());
    EXPECT_TRUE(o10->is_receiving_snapshot());
}

TEST(srv_state, version_0_is_read_from_the_cursor) {
    ptr<buffer> bytes = from_hex("ffff" + vectors::o7);
    bytes->pos(2);
    EXPECT_EQ(5u, srv_state::deserialize_v0(*bytes)->get_term());
}

TEST(srv_state, trailing_flags_of_version_2_are_optional) {
    ptr<srv_state> none = srv_state::deserialize(*from_hex(vectors::o10.substr(0, 28)));
    EXPECT_FALSE(none->is_catching_up());
    EXPECT_FALSE(none->is_receiving_snapshot());
    ptr<srv_state> one = srv_state::deserialize(*from_hex(vectors::o10.substr(0, 30)));
    EXPECT_TRUE(one->is_catching_up());
    EXPECT_FALSE(one->is_receiving_snapshot());
}

TEST(srv_state, version_1_has_no_trailing_flags) {
    ptr<srv_state> state = srv_state::deserialize(*from_hex(vectors::o8 + "0101"));
    EXPECT_FALSE(state->is_catching_up());
    EXPECT_FALSE(state->is_receiving_snapshot());
}

TEST(srv_state, later_versions_are_read_as_far_as_known) {
    ptr<srv_state> state = srv_state::deserialize(*from_hex("03" + vectors::o10.substr(2) + "ee"));
    EXPECT_EQ(0x0102030405060708u, state->get_term());
    EXPECT_TRUE(state->is_receiving_snapshot());
}

TEST(srv_state, only_one_means_true) {
    ptr<srv_state> state = srv_state::deserialize(*from_hex("020500000000000000020000000202ff"));
    EXPECT_FALSE(state->is_election_timer_allowed());
    EXPECT_FALSE(state->is_catching_up());
    EXPECT_FALSE(state->is_receiving_snapshot());
}

TEST(srv_state, a_version_byte_of_zero_is_damage) {
    EXPECT_THROW(srv_state::deserialize(*from_hex("00" + vectors::o9.substr(2))),
                 std::runtime_error);
}
