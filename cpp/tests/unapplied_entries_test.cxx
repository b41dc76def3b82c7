#include "raft3d/unapplied_entries.hxx"

#include <gtest/gtest.h>

#include <cstdint>

using nuraft::log_entry;
using nuraft::ptr;
using raft3d::unapplied_entries;

namespace {

ptr<log_entry> entry_of(uint64_t term, size_t len = 8) {
    return nuraft::cs_new<log_entry>(term, nuraft::buffer::alloc(len));
}

TEST(unapplied_entries, an_entry_is_handed_out_once) {
    unapplied_entries entries;
    const ptr<log_entry> first = entry_of(1);
    entries.put(1, first);
    EXPECT_EQ(entries.take(1), first);
    EXPECT_EQ(entries.take(1), nullptr);
}

TEST(unapplied_entries, those_before_the_one_taken_are_forgotten) {
    unapplied_entries entries;
    for (uint64_t index = 1; index <= 3; ++index) entries.put(index, entry_of(index));
    ASSERT_NE(entries.take(2), nullptr);
    EXPECT_EQ(entries.take(1), nullptr);
    EXPECT_EQ(entries.take(3)->get_term(), 3u);
}

TEST(unapplied_entries, an_overwritten_entry_is_the_new_one_and_nothing_is_behind_it) {
    unapplied_entries entries;
    for (uint64_t index = 1; index <= 4; ++index) entries.put(index, entry_of(1));
    entries.put(2, entry_of(7));
    EXPECT_EQ(entries.take(3), nullptr);
    EXPECT_EQ(entries.take(1)->get_term(), 1u);
    EXPECT_EQ(entries.take(2)->get_term(), 7u);
}

TEST(unapplied_entries, removed_entries_are_not_here) {
    unapplied_entries entries;
    for (uint64_t index = 5; index <= 8; ++index) entries.put(index, entry_of(1));
    entries.drop_from(7);
    EXPECT_EQ(entries.take(7), nullptr);
    EXPECT_NE(entries.take(6), nullptr);
    entries.drop_from(1);
    EXPECT_EQ(entries.take(6), nullptr);
}

TEST(unapplied_entries, a_log_that_goes_on_behind_a_gap_has_only_what_follows) {
    unapplied_entries entries;
    entries.put(1, entry_of(1));
    entries.put(10, entry_of(2));
    EXPECT_EQ(entries.take(1), nullptr);
    EXPECT_EQ(entries.take(9), nullptr);
    EXPECT_EQ(entries.take(10)->get_term(), 2u);
    entries.put(3, entry_of(4));
    EXPECT_EQ(entries.take(3)->get_term(), 4u);
}

TEST(unapplied_entries, what_waits_too_long_gives_way_by_count_and_by_bytes) {
    unapplied_entries many;
    for (uint64_t index = 1; index <= 10'000; ++index) many.put(index, entry_of(1, 0));
    EXPECT_EQ(many.take(1), nullptr);
    EXPECT_NE(many.take(10'000), nullptr);

    unapplied_entries large;
    for (uint64_t index = 1; index <= 3; ++index) large.put(index, entry_of(1, 4 << 20));
    EXPECT_EQ(large.take(1), nullptr);
    EXPECT_NE(large.take(2), nullptr);
}

}  // namespace
