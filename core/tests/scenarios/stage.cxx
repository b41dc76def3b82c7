#include "stage.hxx"

#include <algorithm>
#include <stdexcept>

#include "sim/describe.hxx"

// The servers, their inputs and their effects.

namespace scenarios {

using namespace nuraft;
namespace in = nuraft::protocol::inputs;

namespace {

constexpr uint64_t objects_of_snapshot = 2;

ptr<cluster_config> copy_of(const cluster_config& config) {
    return cluster_config::deserialize(*config.serialize());
}

ptr<srv_config> member(stage::id server) {
    return cs_new<srv_config>(server, "stage:" + std::to_string(server));
}

std::string name(stage::id server) {
    return "s" + std::to_string(server);
}

/// What a reader wants to see: no timers, whose delays are chance, and no routine notices.
protocol::effects worth_showing(protocol::effects out) {
    using protocol::notice;
    out.timers.clear();
    auto routine = [](const notice& n) {
        return n.what == notice::heartbeat || n.what == notice::append_response;
    };
    out.notices.erase(std::remove_if(out.notices.begin(), out.notices.end(), routine),
                      out.notices.end());
    out.question.reset();
    out.candidacy.reset();
    out.replicate_wanted = false;
    return out;
}

}  // namespace

stage::stage() {
    params.heart_beat_interval_ = 100;
    params.election_timeout_lower_bound_ = 200;
    params.election_timeout_upper_bound_ = 400;
}

stage::actor& stage::at(id server) {
    auto found = actors_.find(server);
    if (found == actors_.end()) throw std::invalid_argument("no server " + std::to_string(server));
    return found->second;
}

stage::actor& stage::running(id server) {
    actor& a = at(server);
    if (!a.node) throw std::invalid_argument(name(server) + " is down");
    return a;
}

void stage::add(id server, const ptr<cluster_config>& config, bool passive) {
    actor& a = actors_[server];
    a.server = server;
    a.disk.config = config;
    a.settings.id = server;
    a.settings.params = params;
    a.passive = passive;
    boot(a);
}

void stage::start_members(const std::vector<id>& ids) {
    auto config = cs_new<cluster_config>();
    for (id server : ids) config->get_servers().push_back(member(server));
    for (id server : ids) add(server, copy_of(*config), false);
}

void stage::begin(const std::vector<id>& ids) {
    start_members(ids);
    election_timeout(ids.at(0));
    deliver({}, 1000);
    trace_.str("");  // How it came about is another scenario's subject.
}

void stage::start_outsider(id server) {
    auto config = cs_new<cluster_config>();
    config->get_servers().push_back(member(server));
    add(server, config, true);
}

void stage::boot(actor& a) {
    ++a.life;
    protocol::recovered from;
    from.state = a.disk.state;
    from.config = copy_of(*a.disk.config);
    from.last_snapshot = a.disk.last_snapshot();
    from.commit_index = a.disk.snapshot_index();
    const uint64_t seed = static_cast<uint64_t>(a.server);
    a.node = std::make_unique<protocol::raft>(a.settings, seed, a.disk, from);
    step(a, in::start{a.passive && a.life == 1});
}

void stage::crash(id server) {
    actor& a = running(server);
    trace_ << name(server) << " crashes\n";
    a.node.reset();
    a.saves.clear();
    a.objects = 0;
    a.beats.clear();
    sim::dice chance(1);
    a.disk.crash(chance);
    // Its connections go; whoever waits for it hears of that.
    auto gone = [server](const flight& f) { return f.from == server || f.to == server; };
    under_way_.erase(std::remove_if(under_way_.begin(), under_way_.end(), gone), under_way_.end());
    for (const auto& [id_and_number, other] : std::map(waiting_)) {
        if (id_and_number.first == server) waiting_.erase(id_and_number);
        if (other != server || !at(id_and_number.first).node) continue;
        fail_request(id_and_number.first, id_and_number.second, at(id_and_number.first).life);
    }
}

void stage::restart(id server) {
    actor& a = at(server);
    if (a.node) throw std::invalid_argument(name(server) + " is running");
    trace_ << name(server) << " restarts\n";
    boot(a);
}

void stage::input(id server, const protocol::input& i) {
    step(running(server), i);
}

void stage::election_timeout(id server) {
    now_ += params.election_timeout_upper_bound_ + 1;
    input(server, in::timer_fired{protocol::timer_kind::election, -1});
}

void stage::heartbeat(id server, std::optional<id> peer) {
    now_ += params.heart_beat_interval_;
    for (id each : std::set(running(server).beats)) {
        if (!peer || *peer == each)
            input(server, in::timer_fired{protocol::timer_kind::heartbeat, each});
    }
}

void stage::propose(id server, const std::vector<std::string>& payloads) {
    in::proposal p;
    p.number = next_number();
    for (const std::string& text : payloads) {
        ptr<buffer> bytes = buffer::alloc(text.size());
        bytes->put_raw(reinterpret_cast<const byte*>(text.data()), text.size());
        bytes->pos(0);
        p.entries.push_back(cs_new<log_entry>(0, bytes));
    }
    input(server, p);
}

void stage::answer_commits_with(id server, int64_t more) {
    at(server).more_than_asked = more;
}

void stage::forge(id to, const ptr<req_msg>& msg) {
    in::request i;
    i.number = next_number();
    i.msg = msg;
    input(to, i);
}

void stage::step(actor& a, const protocol::input& i) {
    protocol::effects out;
    a.node->step(now_, i, out);
    const std::string shown = sim::describe(worth_showing(out));
    // Reports of a disk that is not slow say nothing new unless something comes of them.
    const bool routine =
        std::holds_alternative<in::log_stored>(i) || std::holds_alternative<in::log_durable>(i) ||
        std::holds_alternative<in::commit_answer>(i) || std::holds_alternative<in::replicate>(i);
    if (!routine || a.slow || !shown.empty()) {
        trace_ << name(a.server) << " <- " << sim::describe(i) << shown << "\n";
    }
    execute(a, out);
    if (out.candidacy) step(a, in::term_answer{out.candidacy->current + 1});
    if (out.question) {
        const auto index = static_cast<int64_t>(out.question->expected) + a.more_than_asked;
        step(a, in::commit_answer{static_cast<uint64_t>(std::max<int64_t>(index, 0))});
    }
    finish_follow_ups();
}

void stage::later(actor& a, std::function<void(actor&)> what) {
    follow_ups_.push_back([&a, life = a.life, what = std::move(what)] {
        if (a.node && a.life == life) what(a);
    });
}

void stage::finish_follow_ups() {
    while (!follow_ups_.empty()) {
        std::function<void()> next = std::move(follow_ups_.front());
        follow_ups_.pop_front();
        next();
    }
}

void stage::execute(actor& a, protocol::effects& out) {
    if (out.save) a.disk.state = *out.save;
    if (out.save_config) a.disk.config = copy_of(*out.save_config);
    if (out.write) a.disk.queue(*out.write);
    for (const protocol::timer_change& t : out.timers) {
        if (t.kind != protocol::timer_kind::heartbeat) continue;
        t.delay_ms < 0 ? (void)a.beats.erase(t.peer) : (void)a.beats.insert(t.peer);
    }
    for (const protocol::outgoing& o : out.send) {
        under_way_.push_back({a.server, o.peer, o.number, a.life, o.msg, nullptr});
        waiting_[{a.server, o.number}] = o.peer;
    }
    for (const protocol::reply& r : out.replies) reply(a, r);
    for (const protocol::read_object& r : out.reads) {
        ptr<buffer> data = buffer::alloc(1);
        data->data_begin()[0] = static_cast<byte>('0' + r.object);
        const bool last = r.object + 1 == objects_of_snapshot;
        later(a, [this, r, data, last](actor& self) {
            step(self, in::object_read{r.transfer, r.object, data, last});
        });
    }
    a.saves.insert(a.saves.end(), out.saves.begin(), out.saves.end());
    if (out.pack) {
        later(a, [this, pack = *out.pack](actor& self) {
            use_disk(self);
            step(self,
                 in::pack_installed{pack.request, self.disk.install_pack(pack.first, *pack.pack)});
        });
    }
    if (out.replicate_wanted) later(a, [this](actor& self) { step(self, in::replicate{}); });
    if (a.slow) return;
    later(a, [this](actor& self) {
        use_disk(self);
        while (!self.saves.empty()) {
            const protocol::save_object s = self.saves.front();
            self.saves.pop_front();
            install(self, s);
        }
    });
}

void stage::use_disk(actor& a) {
    const uint64_t life = a.life;
    bool wrote = false;
    while (a.node && a.life == life && a.disk.has_queued()) {
        step(a, in::log_stored{a.disk.store_next()});
        wrote = true;
    }
    if (!wrote || !a.node || a.life != life || !a.disk.has_unsynced()) return;
    a.disk.sync(UINT64_MAX);
    step(a, in::log_durable{a.disk.durable_index(), a.disk.last_stored_write()});
}

void stage::install(actor& a, const protocol::save_object& s) {
    const uint64_t object = s.object->get_offset();
    if (object == 0) a.objects = 0;
    if (object != a.objects) return step(a, in::object_saved{s.request, false, 0, false});
    ++a.objects;
    const bool installed = s.object->is_done();
    if (installed) {
        const ptr<snapshot> meta = snapshot::deserialize(*s.object->get_snapshot().serialize());
        a.disk.add_snapshot({meta, {meta->get_last_log_idx(), 0}});
        a.disk.install(meta->get_last_log_idx(), s.discard_log);
    }
    step(a, in::object_saved{s.request, true, object + 1, installed});
}

void stage::reply(actor& a, const protocol::reply& r) {
    auto found = asked_.find({a.server, r.request});
    if (found == asked_.end()) return;  // Forged: nobody waits.
    const question q = found->second;
    asked_.erase(found);
    if (r.msg) {
        under_way_.push_back({a.server, q.client, q.number, q.life, nullptr, r.msg});
        return;
    }
    follow_ups_.push_back([this, q] { fail_request(q.client, q.number, q.life); });
}

void stage::make_slow(id server, bool slow) {
    actor& a = running(server);
    a.slow = slow;
    if (slow) return;
    use_disk(a);
    save_objects(server);
}

void stage::store(id server) {
    actor& a = running(server);
    while (a.disk.has_queued()) step(a, in::log_stored{a.disk.store_next()});
}

void stage::sync(id server) {
    actor& a = running(server);
    a.disk.sync(UINT64_MAX);
    step(a, in::log_durable{a.disk.durable_index(), a.disk.last_stored_write()});
}

void stage::save_objects(id server) {
    actor& a = running(server);
    store(server);
    while (!a.saves.empty()) {
        const protocol::save_object s = a.saves.front();
        a.saves.pop_front();
        install(a, s);
    }
}

void stage::create_snapshot(id server, uint64_t keep) {
    actor& a = running(server);
    const uint64_t index = a.node->commit_index();
    const ptr<snapshot> meta =
        cs_new<snapshot>(index, a.disk.term_at(index), a.node->config_at(index));
    a.disk.add_snapshot({meta, {index, 0}});
    step(a, in::snapshot_created{meta});
    a.disk.compact(index - std::min(index, keep));
}

void stage::show_log(id server) {
    const actor& a = at(server);
    trace_ << "log of " << name(server) << " from " << a.disk.start_index() << ":";
    for (uint64_t i = a.disk.start_index(); i < a.disk.next_index(); ++i) {
        const log_entry& entry = *a.disk.logical_at(i)->entry;
        trace_ << " " << entry.get_term() << ":";
        ptr<buffer> payload = buffer::clone(entry.get_buf());
        if (entry.get_val_type() == log_val_type::conf) {
            trace_ << sim::describe(*cluster_config::deserialize(*payload));
        } else {
            trace_ << std::string(reinterpret_cast<const char*>(payload->data_begin()),
                                  payload->size());
        }
    }
    trace_ << "\n";
}

std::string stage::take_trace() {
    for (auto& [server, a] : actors_) {
        const std::string now = a.node ? a.node->describe() : name(server) + " is down";
        if (now != a.shown) trace_ << "= " << now << "\n";
        a.shown = now;
    }
    std::string text = trace_.str();
    trace_.str("");
    return text;
}

}  // namespace scenarios
