#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "cluster.hxx"

// Runs that follow a script into a corner that chance rarely finds. The same invariants are
// checked after every step.

namespace sim {
namespace {

using namespace nuraft;

class directed : public ::testing::Test {
protected:
    /// Runs `script` on clusters of several seeds.
    template <typename F>
    void for_seeds(const options& base, F script) {
        for (uint64_t seed = 1; seed <= 10; ++seed) {
            options o = base;
            o.seed = seed;
            cluster world(o);
            if (seed == 1 && std::getenv("SIM_TRACE")) world.trace_to_stdout();
            try {
                world.boot_all();
                script(world);
                world.converge();
            } catch (const violation& v) {
                FAIL() << "seed " << seed << ": " << v.what();
            }
        }
    }

    /// A leader whose first entry is committed and applied everywhere.
    static sim_server& settled_leader(cluster& world) {
        auto settled = [&] {
            sim_server* l = world.leader();
            if (!l || l->node().config_in_progress()) return false;
            for (auto& [id, s] : world.servers()) {
                if (s->node().commit_index() != l->node().last_log_index()) return false;
            }
            return true;
        };
        world.run_until(settled, "a leader that everybody follows");
        return *world.leader();
    }

    static std::vector<int32_t> others(cluster& world, int32_t leader) {
        std::vector<int32_t> found;
        for (auto& [id, s] : world.servers()) {
            if (id != leader) found.push_back(id);
        }
        return found;
    }

    static void cut(cluster& world, int32_t a, int32_t b) {
        world.net().block(a, b);
        world.net().block(b, a);
    }

    static void remove(sim_server& leader, int32_t id) {
        protocol::inputs::remove_server in;
        in.number = leader.next_number();
        in.server = id;
        leader.input(in);
    }

    static bool has_removed(const sim_server& leader, int32_t id) {
        return leader.node().config()->get_server(id) == nullptr;
    }

    static void pass(cluster& world, time_us duration) {
        const time_us end = world.events().now() + duration;
        world.events().after(duration, [] {});
        world.run_until([&] { return world.events().now() >= end; }, "time passes");
    }
};

// Configurations act at commit. A follower that stored the first removal and did not hear of its
// commit still elects with both leavers; the second removal must not be lost to it.
TEST_F(directed, two_removals_in_a_row_are_not_lost) {
    for_seeds(options::quiet(1, 5), [](cluster& world) {
        sim_server& a = settled_leader(world);
        const std::vector<int32_t> rest = others(world, a.id());
        const int32_t c = rest[1], d = rest[2], e = rest[3];
        cut(world, a.id(), d);
        cut(world, a.id(), e);
        remove(a, e);
        world.run_until([&] { return has_removed(a, e); }, "the first removal commits");
        cut(world, a.id(), c);
        cut(world, rest[0], c);
        ASSERT_FALSE(has_removed(world.server(c), e)) << "it must not know yet";
        remove(a, d);
        pass(world, 3000 * ms);
    });
}

// The same on the way from three servers to one.
TEST_F(directed, shrinking_to_one_server_loses_nothing) {
    for_seeds(options::quiet(1, 3), [](cluster& world) {
        sim_server& a = settled_leader(world);
        const std::vector<int32_t> rest = others(world, a.id());
        cut(world, a.id(), rest[1]);
        remove(a, rest[1]);
        world.run_until([&] { return has_removed(a, rest[1]); }, "the first removal commits");
        cut(world, a.id(), rest[0]);
        remove(a, rest[0]);
        world.propose(a, "alone");
        pass(world, 3000 * ms);
    });
}

// Two servers that were removed one after the other hold an old majority between them. The second
// does not know that it was removed, the first not even that its removal was committed.
TEST_F(directed, removed_servers_do_not_elect_each_other) {
    for_seeds(options::quiet(1, 3), [](cluster& world) {
        sim_server& a = settled_leader(world);
        sim_server& b = world.server(others(world, a.id())[0]);
        sim_server& c = world.server(others(world, a.id())[1]);
        remove(a, c.id());
        world.run_until([&] { return c.node().config_in_progress() && c.quiet(); },
                        "the first to go stores its removal");
        c.crash();
        world.run_until([&] { return has_removed(a, c.id()) && has_removed(b, c.id()); },
                        "its removal commits");
        // The leader knows that the second uses the configuration of two.
        pass(world, 300 * ms);
        cut(world, a.id(), b.id());
        cut(world, a.id(), c.id());
        remove(a, b.id());
        world.run_until([&] { return has_removed(a, b.id()); }, "the second is removed by force");
        const auto op = world.propose(a, "alone");
        world.run_until([&] { return op->acknowledged; }, "the one that is left commits");
        b.crash();
        b.boot();
        c.boot();
        pass(world, 3000 * ms);
    });
}

// One side has an addition in its log and still decides by the old three; the other knows it
// committed and has begun a removal. Their majorities must meet all the same.
TEST_F(directed, removal_after_an_addition_meets_the_old_majority) {
    options o = options::quiet(1, 3);
    for_seeds(o, [](cluster& world) {
        sim_server& a = settled_leader(world);
        sim_server& b = world.server(others(world, a.id())[0]);
        sim_server& c = world.server(others(world, a.id())[1]);
        sim_server& d = world.add_outsider();
        protocol::inputs::add_server add;
        add.number = a.next_number();
        add.server = cs_new<srv_config>(d.id(), cluster::endpoint(d.id()));
        a.input(add);
        world.run_until([&] { return a.node().config()->get_servers().size() == 4; },
                        "the addition commits");
        cut(world, a.id(), b.id());
        cut(world, a.id(), c.id());
        cut(world, d.id(), b.id());
        cut(world, d.id(), c.id());
        remove(a, b.id());
        pass(world, 4000 * ms);
    });
}

// A deposed leader with a long tail of its own is overtaken by a snapshot: nothing of the tail may
// survive beside it.
TEST_F(directed, snapshot_replaces_a_conflicting_log) {
    options o = options::quiet(1, 3);
    o.params.snapshot_distance_ = 10;
    o.params.leadership_expiry_ = -1;
    for_seeds(o, [](cluster& world) {
        sim_server& old = settled_leader(world);
        const std::vector<int32_t> rest = others(world, old.id());
        for (int32_t id : rest) cut(world, old.id(), id);
        auto replaced = [&] {
            sim_server* l = world.leader();
            return l && l->id() != old.id() && !l->node().config_in_progress();
        };
        world.run_until(replaced, "another leader");
        sim_server& now = *world.leader();
        // The tail of its own is longer than what the others snapshot.
        for (int i = 0; i < 60; ++i) world.propose(old, "lost " + std::to_string(i));
        for (int i = 0; i < 35; ++i) {
            const auto op = world.propose(now, "kept " + std::to_string(i));
            world.run_until([&] { return op->acknowledged; }, "a majority commits");
        }
        ASSERT_GE(now.disk().snapshot_index(), 20u);
        ASSERT_GT(old.node().last_log_index(), now.node().last_log_index());
        const uint64_t before = world.count().snapshots_installed;
        world.net().heal();
        world.run_until([&] { return world.count().snapshots_installed > before; },
                        "the old leader gets the snapshot");
    });
}

}  // namespace
}  // namespace sim
