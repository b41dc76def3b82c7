#include "faults.hxx"

#include <functional>
#include <vector>

#include "cluster.hxx"

namespace sim {

using namespace nuraft;

namespace {

/// Null: there is none.
sim_server* any_server(cluster& world, const std::function<bool(const sim_server&)>& fits) {
    std::vector<sim_server*> found;
    for (auto& [id, s] : world.servers()) {
        if (fits(*s)) found.push_back(s.get());
    }
    return found.empty() ? nullptr : found[world.chance().below(found.size())];
}

sim_server* any_running(cluster& world) {
    return any_server(world, [](const sim_server& s) { return s.running(); });
}

/// Somebody the operator turns to: mostly the leader, sometimes a deposed or the wrong one.
sim_server* somebody(cluster& world) {
    sim_server* leader = world.leader();
    if (leader && world.chance().chance(8000)) return leader;
    if (sim_server* deposed = world.any_leader(); deposed && world.chance().coin()) return deposed;
    // Never a cluster of one that is still to be absorbed: that would make two clusters.
    return any_server(world, [](const sim_server& s) { return s.running() && !s.outsider(); });
}

int32_t any_id(cluster& world) {
    return any_server(world, [](const sim_server&) { return true; })->id();
}

void restart_later(cluster& world, int32_t id, time_us delay) {
    world.events().after(delay, [&world, id] {
        if (!world.server(id).running()) world.server(id).boot();
    });
}

void crash_one(cluster& world) {
    sim_server* s = any_running(world);
    if (!s) return;
    dice& d = world.chance();
    switch (d.below(4)) {
        case 0:
            s->stop();
            break;
        case 1:
            s->crash_in_next_step();
            break;
        default:
            s->crash();
            break;
    }
    const int32_t id = s->id();
    const time_us down = d.chance(3000) ? d.between(2000, 6000) * ms : d.between(0, 900) * ms;
    if (!s->running()) return restart_later(world, id, down);
    // It goes down with its next step.
    world.events().after(200 * ms, [&world, id, down] { restart_later(world, id, down); });
}

void crash_all(cluster& world) {
    for (auto& [id, s] : world.servers()) {
        if (!s->running()) continue;
        s->crash();
        restart_later(world, id, world.chance().between(0, 300) * ms);
    }
}

void partition(cluster& world) {
    dice& d = world.chance();
    std::vector<int32_t> left, right;
    for (auto& [id, s] : world.servers()) (d.coin() ? left : right).push_back(id);
    if (d.chance(world.opts().isolations)) {
        const sim_server* leader = world.leader();
        left = {leader ? leader->id() : any_id(world)};
        right.clear();
        for (auto& [id, s] : world.servers()) {
            if (id != left.front()) right.push_back(id);
        }
    }
    const bool there = d.chance(8500);
    const bool back = !there || d.chance(7000);
    for (int32_t a : left) {
        for (int32_t b : right) {
            if (there) world.net().block(a, b);
            if (back) world.net().block(b, a);
        }
    }
    if (world.tracing()) world.trace("partition");
    world.events().after(d.between(100, 3000) * ms, [&world] { world.net().heal(); });
}

void stall_one(cluster& world) {
    if (sim_server* s = any_running(world)) s->stall(world.chance().between(5, 1500) * ms);
}

void slow_disk(cluster& world) {
    sim_server* s = any_running(world);
    if (!s) return;
    s->set_disk_slowness(20);
    const int32_t id = s->id();
    world.events().after(world.chance().between(300, 3000) * ms,
                         [&world, id] { world.server(id).set_disk_slowness(1); });
}

void disk_failure(cluster& world) {
    sim_server* s = any_running(world);
    if (!s) return;
    const int32_t id = s->id();
    s->fail_disk();
    restart_later(world, id, world.chance().between(101, 900) * ms);
}

bool is_member(sim_server& leader, int32_t id) {
    return leader.node().config()->get_server(id) != nullptr;
}

void add_one(cluster& world, sim_server& to) {
    // A newcomer, or one that was removed and comes back with all it had.
    sim_server* stranger = any_server(
        world, [&](const sim_server& s) { return s.running() && !is_member(to, s.id()); });
    size_t strangers = 0;
    for (auto& [id, s] : world.servers()) strangers += is_member(to, id) ? 0 : 1;
    if (world.servers().size() < 12 && (!stranger || (strangers < 3 && world.chance().coin()))) {
        stranger = &world.add_outsider();
    }
    if (!stranger) return;
    protocol::inputs::add_server in;
    in.number = to.next_number();
    in.server = cs_new<srv_config>(stranger->id(), cluster::endpoint(stranger->id()));
    if (world.chance().chance(2000)) in.server->set_learner(true);
    to.input(in);
}

void remove_one(cluster& world, sim_server& from) {
    protocol::inputs::remove_server in;
    in.number = from.next_number();
    in.server = any_id(world);
    from.input(in);
}

void change_attributes(cluster& world, sim_server& at) {
    dice& d = world.chance();
    switch (d.below(3)) {
        case 0: {
            protocol::inputs::set_user_context in;
            in.number = at.next_number();
            in.context = "context " + std::to_string(in.number);
            return at.input(in);
        }
        case 1: {
            protocol::inputs::set_learner in;
            in.number = at.next_number();
            in.server = any_id(world);
            in.learner = d.chance(4000);
            return at.input(in);
        }
        default: {
            const int32_t id = any_id(world);
            protocol::inputs::update_server in;
            in.number = at.next_number();
            in.server = cs_new<srv_config>(id, 0, cluster::endpoint(id),
                                           "aux " + std::to_string(in.number), false);
            return at.input(in);
        }
    }
}

void change_membership(cluster& world) {
    sim_server* s = somebody(world);
    if (!s) return;
    // Many changes on the heels of each other, as an operator's script makes them.
    const uint64_t kind = world.chance().below(8);
    if (kind < 3) return add_one(world, *s);
    if (kind < 6) return remove_one(world, *s);
    change_attributes(world, *s);
}

void hand_over(cluster& world) {
    sim_server* s = somebody(world);
    if (!s) return;
    switch (world.chance().below(4)) {
        case 0:
            return s->input(protocol::inputs::yield{true, -1});
        case 1:
            return s->input(protocol::inputs::yield{false, any_id(world)});
        case 2:
            return s->input(protocol::inputs::yield{false, -1});
        default:
            break;
    }
    if (sim_server* other = any_running(world)) {
        if (world.chance().chance(2000)) return other->input(protocol::inputs::request_reconnect{});
        other->input(protocol::inputs::request_leadership{});
    }
}

void change_priority(cluster& world) {
    sim_server* s = somebody(world);
    if (!s) return;
    const int32_t priorities[] = {0, 1, 10, 50, 100};
    protocol::inputs::set_priority in;
    in.number = s->next_number();
    in.server = any_id(world);
    in.priority = priorities[world.chance().below(5)];
    in.broadcast_when_leader_exists = world.chance().chance(1000);
    s->input(in);
}

void change_settings(cluster& world) {
    raft_params params = world.opts().params;
    dice& d = world.chance();
    if (d.coin()) params.max_log_gap_in_stream_ = 0;
    const int32_t sizes[] = {1, 2, 20};
    params.max_append_size_ = sizes[d.below(3)];
    if (sim_server* s = any_running(world)) s->change_params(params);
}

}  // namespace

void inject_fault(cluster& world) {
    using kind = void (*)(cluster&);
    const options& o = world.opts();
    std::vector<kind> kinds;
    auto weigh = [&](bool on, int32_t weight, kind k) {
        if (on) kinds.insert(kinds.end(), static_cast<size_t>(weight), k);
    };
    weigh(o.crashes, 6, crash_one);
    weigh(o.crashes, 1, crash_all);
    weigh(o.partitions, 6, partition);
    weigh(o.stalls, 4, stall_one);
    weigh(o.slow_disks, 4, slow_disk);
    weigh(o.disk_failures, 2, disk_failure);
    weigh(o.membership, 14, change_membership);
    weigh(o.handover, 4, hand_over);
    weigh(o.priorities, 3, change_priority);
    weigh(o.settings_change, 2, change_settings);
    if (!kinds.empty()) kinds[world.chance().below(kinds.size())](world);
}

}  // namespace sim
