#include "cluster.hxx"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "faults.hxx"

namespace sim {

using namespace nuraft;

namespace {

constexpr int32_t most_attempts = 4;
constexpr size_t trace_kept = 60;
/// No run needs a tenth of these.
constexpr uint64_t most_events = 5000000;

}  // namespace

cluster::cluster(const options& o) : options_(o), dice_(o.seed), network_(*this), checker_(*this) {
    network_.set_loss(o.loss);
    auto config = cs_new<cluster_config>();
    for (int32_t id = 1; id <= o.initial_servers; ++id) {
        auto member = cs_new<srv_config>(id, endpoint(id));
        if (o.priorities) member->set_priority(static_cast<int32>(dice_.between(1, 100)));
        config->get_servers().push_back(member);
    }
    for (int32_t id = 1; id <= o.initial_servers; ++id) {
        servers_[id] = std::make_unique<sim_server>(*this, id, config, false, false);
    }
}

cluster::~cluster() = default;

std::string cluster::endpoint(int32_t id) {
    return "sim:" + std::to_string(id);
}

sim_server& cluster::add_outsider() {
    const int32_t id = servers_.rbegin()->first + 1;
    auto config = cs_new<cluster_config>();
    config->get_servers().push_back(cs_new<srv_config>(id, endpoint(id)));
    const bool passive = !options_.absorb || dice_.coin();
    servers_[id] = std::make_unique<sim_server>(*this, id, config, true, passive);
    servers_[id]->boot();
    return *servers_[id];
}

sim_server* cluster::leader() {
    sim_server* found = nullptr;
    for (auto& [id, s] : servers_) {
        if (!s->running() || s->outsider() || s->node().role() != srv_role::leader) continue;
        if (!found || s->node().term() > found->node().term()) found = s.get();
    }
    return found;
}

sim_server* cluster::any_leader() {
    std::vector<sim_server*> found;
    for (auto& [id, s] : servers_) {
        if (s->running() && !s->outsider() && s->node().role() == srv_role::leader) {
            found.push_back(s.get());
        }
    }
    return found.empty() ? nullptr : found[dice_.below(found.size())];
}

void cluster::trace(const std::string& line) {
    char time[32];
    std::snprintf(time, sizeof time, "%10.3f ms ", static_cast<double>(events_.now()) / ms);
    if (trace_to_stdout_) std::printf("%s%s\n", time, line.c_str());
    last_trace_.push_back(time + line);
    if (last_trace_.size() > trace_kept) last_trace_.pop_front();
}

void cluster::retry(const std::shared_ptr<operation>& op) {
    if (op->acknowledged || op->attempts >= most_attempts) return;
    events_.after(dice_.between(1, 300) * ms, [this, op] {
        if (sim_server* s = leader()) s->propose(op);
    });
}

std::shared_ptr<operation> cluster::make_operation(const std::vector<std::string>& payloads) {
    auto op = std::make_shared<operation>();
    op->number = ++next_operation_;
    op->payloads = payloads;
    for (const std::string& payload : payloads) {
        ptr<buffer> bytes = buffer::alloc(payload.size());
        bytes->put_raw(reinterpret_cast<const byte*>(payload.data()), payload.size());
        op->hashes.push_back(content_hash(log_entry(0, bytes)));
    }
    return op;
}

std::shared_ptr<operation> cluster::propose(sim_server& to, const std::string& payload) {
    std::shared_ptr<operation> op = make_operation({payload});
    op->attempts = most_attempts;  // A script retries by itself.
    to.propose(op);
    return op;
}

void cluster::schedule_client() {
    events_.after(dice_.between(0, 2 * options_.propose_every), [this] {
        if (!chaos_) return;
        std::vector<std::string> payloads;
        const uint64_t entries = dice_.chance(8000) ? 1 : 1 + dice_.below(5);
        for (uint64_t i = 0; i < entries; ++i) {
            payloads.push_back(std::to_string(next_operation_) + "." + std::to_string(i));
        }
        const std::shared_ptr<operation> op = make_operation(payloads);
        sim_server* s = dice_.chance(3000) ? any_leader() : leader();
        if (dice_.chance(500)) s = servers_.begin()->second.get();
        if (s && s->running()) s->propose(op);
        // Whoever led before the present leader is the one to be asked.
        sim_server* reader = dice_.coin() ? any_leader() : nullptr;
        if (reader) reader->ask_read();
        schedule_client();
    });
}

void cluster::schedule_fault() {
    events_.after(dice_.between(20 * ms, 2 * options_.fault_every), [this] {
        if (!chaos_) return;
        inject_fault(*this);
        schedule_fault();
    });
}

void cluster::run_until(time_us end) {
    while (events_.run_one(end)) {
        if (events_.fired() > most_events) fail("the servers do not come to rest");
    }
}

void cluster::boot_all() {
    for (auto& [id, s] : servers_) s->boot();
}

void cluster::run() {
    boot_all();
    schedule_client();
    schedule_fault();
    run_until(options_.chaos);
    converge();
}

void cluster::converge() {
    stop_faults();
    const time_us deadline = events_.now() + options_.patience;
    await_agreement(deadline);
    commit_one_more(deadline);
    totals_.events = events_.fired();
}

void cluster::run_until(const std::function<bool()>& done, const std::string& what, time_us limit) {
    const time_us end = events_.now() + limit;
    while (!done()) {
        if (!events_.run_one(end)) fail("this did not come about: ", what);
    }
}

void cluster::stop_faults() {
    chaos_ = false;
    if (tracing()) trace("faults stop");
    network_.heal();
    network_.set_loss(0);
    for (auto& [id, s] : servers_) s->calm();
}

bool cluster::agreed(std::string* why) const {
    std::ostringstream reason;
    const sim_server* leader = nullptr;
    for (const auto& [id, s] : servers_) {
        if (!s->running()) {
            *why = "server " + std::to_string(id) + " does not run";
            return false;
        }
        if (s->outsider() || s->node().role() != srv_role::leader) continue;
        if (leader) {
            *why = "two servers lead";
            return false;
        }
        leader = s.get();
    }
    if (!leader) {
        *why = "no server leads";
        return false;
    }
    const protocol::raft& l = leader->node();
    if (l.config_in_progress() || l.commit_index() != l.last_log_index()) {
        *why = "the leader has uncommitted entries: " + l.describe();
        return false;
    }
    for (const ptr<srv_config>& member : l.config()->get_servers()) {
        const sim_server& s = *servers_.at(member->get_id());
        const protocol::raft& r = s.node();
        if (r.commit_index() != l.commit_index() || s.machine().index != l.commit_index() ||
            s.machine().hash != leader->machine().hash ||
            r.config()->get_log_idx() != l.config()->get_log_idx()) {
            *why = "member " + std::to_string(s.id()) + " is behind: " + r.describe() +
                   ", applied " + std::to_string(s.machine().index) +
                   "; the leader: " + l.describe();
            return false;
        }
    }
    return true;
}

void cluster::await_agreement(time_us deadline) {
    std::string why;
    while (!agreed(&why)) {
        if (events_.now() >= deadline) fail("no agreement after the faults: ", why);
        mend_priorities();
        run_until(events_.now() + 50 * ms);
    }
}

void cluster::mend_priorities() {
    // A leader of priority 0 resigns at once, and perhaps nobody else can lead.
    sim_server* l = leader();
    if (!l) return;
    // Once only: a leader that is handed more than its followers can store gets nothing committed
    // before it resigns.
    const ptr<cluster_config> pending = l->node().inspect().uncommitted;
    const ptr<cluster_config> newest = pending ? pending : l->node().config();
    const ptr<srv_config> self = newest->get_server(l->id());
    if (!self || self->get_priority() > 0) return;
    protocol::inputs::set_priority in;
    in.number = l->next_number();
    in.server = l->id();
    in.priority = 1;
    l->input(in);
}

void cluster::commit_one_more(time_us deadline) {
    // It must be of use again: a new entry commits everywhere, soon.
    std::shared_ptr<operation> op;
    while (!op || !op->acknowledged) {
        if (events_.now() >= deadline) fail("a proposal does not commit after the faults");
        mend_priorities();
        if (sim_server* s = leader()) op = propose(*s, "last");
        run_until(events_.now() + 3000 * ms);
    }
    await_agreement(deadline);
    read_once_more(deadline);
    for (auto& [id, s] : servers_) {
        checker_.idle(*s);
        for (auto& [other, t] : servers_) {
            const network::connection* c = network_.open_connection(id, other);
            if (c && !c->broken && !c->mute && c->unanswered.size() > 100) {
                fail("server ", id, " has ", c->unanswered.size(), " requests to ", other,
                     " unanswered");
            }
        }
    }
}

void cluster::read_once_more(time_us deadline) {
    // As for a write: it is answered, soon.
    for (;;) {
        sim_server* s = leader();
        const uint64_t number = s ? s->ask_read() : 0;
        const time_us patience = events_.now() + 1000 * ms;
        while (s && s->awaits_read(number) && events_.now() < patience) {
            run_until(events_.now() + 10 * ms);
        }
        if (s && s->has_read(number)) return;
        if (events_.now() >= deadline) fail("a read is not answered after the faults");
        run_until(events_.now() + 50 * ms);
    }
}

std::string run_seed(uint64_t seed, const std::string& without, totals& sum) {
    const options o = options::draw(seed, without);
    {
        cluster world(o);
        try {
            world.run();
            sum.add(world.count());
            return std::string();
        } catch (const violation&) {
        }
    }
    // The same again, this time with a trace: a run is a function of its seed.
    cluster again(o);
    again.keep_trace();
    std::ostringstream text;
    try {
        again.run();
        text << "seed " << seed << ": the violation did not happen again: not deterministic\n";
    } catch (const violation& v) {
        for (const std::string& line : again.last_trace()) text << line << "\n";
        text << "seed " << seed << " after " << again.events().fired() << " events at "
             << again.events().now() / ms << " ms: " << v.what() << "\n";
    }
    text << "  " << o.describe() << "\n  replay: SIM_SEED=" << seed
         << (without.empty() ? "" : " SIM_WITHOUT=" + without) << " SIM_TRACE=1 ./sim_tests\n";
    return text.str();
}

void totals::add(const totals& o) {
    events += o.events;
    elections += o.elections;
    elected_alone += o.elected_alone;
    commits += o.commits;
    snapshots_created += o.snapshots_created;
    snapshots_installed += o.snapshots_installed;
    config_changes += o.config_changes;
    servers_added += o.servers_added;
    servers_removed += o.servers_removed;
    crashes += o.crashes;
    torn_crashes += o.torn_crashes;
    truncations += o.truncations;
    handovers += o.handovers;
    streamed += o.streamed;
    packs += o.packs;
    duplicates += o.duplicates;
    acknowledged += o.acknowledged;
    reads += o.reads;
}

std::string totals::describe() const {
    std::ostringstream s;
    s << events << " events, " << elections << " elections, " << elected_alone << " alone, "
      << commits << " commits, " << acknowledged << " acknowledged, " << snapshots_created
      << " snapshots created, " << snapshots_installed << " installed, " << packs << " packs, "
      << config_changes << " config changes, " << servers_added << " joined, " << servers_removed
      << " removed, " << crashes << " crashes (" << torn_crashes << " with writes under way), "
      << truncations << " conflicts cut off, " << handovers << " hand-overs by rule, " << streamed
      << " streamed requests, " << duplicates << " requests twice, " << reads << " reads";
    return s.str();
}

}  // namespace sim
