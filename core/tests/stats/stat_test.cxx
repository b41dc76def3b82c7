#include <gtest/gtest.h>

#include <limits>

#include "buffer.hxx"
#include "raft_server.hxx"
#include "stat_mgr.hxx"

// Statistics, as in builds with ENABLE_RAFT_STATS.

namespace nuraft {
namespace {

TEST(statistics, count_buffers) {
    const uint64_t allocs = raft_server::get_stat_counter("num_buffer_allocs");
    const uint64_t active = raft_server::get_stat_counter("num_active_buffers");
    const int64_t bytes = raft_server::get_stat_gauge("amount_active_buffers");
    const uint64_t all_bytes = raft_server::get_stat_counter("amount_buffer_allocs");
    ptr<buffer> kept = buffer::alloc(100);
    buffer::alloc(50);
    EXPECT_EQ(allocs + 2, raft_server::get_stat_counter("num_buffer_allocs"));
    EXPECT_EQ(active + 1, raft_server::get_stat_counter("num_active_buffers"));
    EXPECT_EQ(bytes + static_cast<int64_t>(kept->container_size()),
              raft_server::get_stat_gauge("amount_active_buffers"));
    EXPECT_EQ(all_bytes + kept->container_size() + 54,
              raft_server::get_stat_counter("amount_buffer_allocs"));
    kept.reset();
    EXPECT_EQ(bytes, raft_server::get_stat_gauge("amount_active_buffers"));
}

TEST(statistics, unknown_names_read_as_nothing) {
    std::map<double, uint64_t> buckets;
    EXPECT_EQ(0u, raft_server::get_stat_counter("no such name"));
    EXPECT_EQ(0, raft_server::get_stat_gauge("no such name"));
    EXPECT_FALSE(raft_server::get_stat_histogram("no such name", buckets));
    EXPECT_FALSE(raft_server::get_stat_histogram("num_buffer_allocs", buckets));
    raft_server::reset_stat("no such name");
}

TEST(statistics, numbers_go_up_and_down) {
    stat_mgr* mgr = stat_mgr::get_instance();
    stat_elem& n = *mgr->create_stat(stat_elem::GAUGE, "gauge");
    EXPECT_EQ(&n, mgr->create_stat(stat_elem::COUNTER, "gauge")) << "the name is taken";
    EXPECT_EQ(&n, mgr->get_stat("gauge"));
    EXPECT_EQ(stat_elem::GAUGE, n.get_type());
    EXPECT_EQ("gauge", n.get_name());
    n.inc();
    n.inc(4);
    n++;
    n += 10;
    n.dec(2);
    n--;
    n -= 3;
    EXPECT_EQ(10, raft_server::get_stat_gauge("gauge"));
    EXPECT_EQ(10u, raft_server::get_stat_counter("gauge"));
    n.set(-5);
    EXPECT_EQ(-5, n.get_gauge());
    n = 7;
    EXPECT_EQ(7, n.get_gauge());
    raft_server::reset_stat("gauge");
    EXPECT_EQ(0, n.get_gauge());
}

TEST(statistics, histograms_have_buckets_of_powers_of_two) {
    stat_elem& h = *stat_mgr::get_instance()->create_stat(stat_elem::HISTOGRAM, "histogram");
    for (uint64_t value : {0, 1, 2, 3, 4, 1000}) h.add_value(value);
    h.add_value(std::numeric_limits<uint64_t>::max());
    std::map<double, uint64_t> buckets{{0.5, 99}};
    ASSERT_TRUE(raft_server::get_stat_histogram("histogram", buckets));
    const std::map<double, uint64_t> expected{
        {0.5, 99},
        {1, 1},
        {2, 1},
        {4, 2},
        {8, 1},
        {1024, 1},
        {static_cast<double>(std::numeric_limits<uint64_t>::max()), 1}};
    EXPECT_EQ(expected, buckets) << "what was in the map stays";
    raft_server::reset_all_stats();
    buckets.clear();
    EXPECT_TRUE(raft_server::get_stat_histogram("histogram", buckets));
    EXPECT_TRUE(buckets.empty());
}

TEST(statistics, all_of_them_are_listed) {
    stat_mgr::get_instance()->create_stat(stat_elem::COUNTER, "listed");
    std::vector<stat_elem*> all;
    stat_mgr::get_instance()->get_all_stats(all);
    EXPECT_EQ(1, std::count_if(all.begin(), all.end(),
                               [](stat_elem* e) { return e->get_name() == "listed"; }));
}

}  // namespace
}  // namespace nuraft
