#include "sim_server.hxx"

#include <algorithm>
#include <utility>

#include "cluster.hxx"
#include "describe.hxx"

// The life of a simulated server, and the effects that concern neither its log nor its snapshots.

namespace sim {

using namespace nuraft;

namespace {

ptr<cluster_config> copy_config(const cluster_config& config) {
    return cluster_config::deserialize(*config.serialize());
}

}  // namespace

sim_server::sim_server(cluster& world, int32_t id, const ptr<cluster_config>& config, bool outsider,
                       bool skip_election_timer)
    : world_(world),
      id_(id),
      skip_election_timer_(skip_election_timer),
      params_(world.opts().params),
      outsider_(outsider) {
    disk_.config = copy_config(*config);
    dice& d = world.chance();
    clock_offset_ms_ = d.between(0, 100000);
    const int32_t skew = world.opts().clock_skew_per_1000;
    clock_rate_per_1000_ = 1000 + d.between(-skew, skew);
}

protocol::time_ms sim_server::local_time() const {
    return clock_offset_ms_ + world_.events().now() * clock_rate_per_1000_ / 1000 / ms;
}

time_us sim_server::from_local(int32_t delay_ms) const {
    return int64_t{delay_ms} * ms * 1000 / clock_rate_per_1000_;
}

void sim_server::later_do(time_us delay, std::function<void()> what) {
    const uint64_t life = life_;
    world_.events().after(delay, [this, life, what] {
        if (life != life_ || !running()) return;
        if (stalled_for() > 0) return later_do(stalled_for(), what);
        what();
    });
}

void sim_server::boot() {
    ++life_;
    disk_failed_ = false;
    crash_countdown_ = -1;
    stalled_until_ = 0;
    leads_ = told_of_removal_ = false;
    machine_ = disk_.machine;
    if (!disk_.snapshots.empty() && disk_.snapshots.back().state.index > machine_.index) {
        machine_ = disk_.snapshots.back().state;
    }
    may_apply_ = told_applied_ = machine_.index;
    protocol::settings settings;
    settings.id = id_;
    settings.params = params_;
    protocol::recovered from;
    from.state = disk_.state;
    from.config = copy_config(*disk_.config);
    from.last_snapshot = disk_.last_snapshot();
    from.commit_index = machine_.index;
    node_ =
        std::make_unique<protocol::raft>(settings, world_.chance().below(UINT64_MAX), disk_, from);
    for (const ptr<srv_config>& s : disk_.config->get_servers()) {
        if (s->get_id() == id_) continue;
        world_.net().change(id_,
                            {protocol::connection_change::open, s->get_id(), s->get_endpoint()});
    }
    if (world_.tracing()) world_.trace("s" + std::to_string(id_) + " boots: " + node_->describe());
    world_.check().booted(*this);
    input(protocol::inputs::start{skip_election_timer_ && life_ == 1});
}

void sim_server::power_off() {
    ++life_;
    node_.reset();
    for (auto& [number, op] : proposals_) world_.retry(op);
    proposals_.clear();
    cancel_waiters();
    reads_.clear();
    requests_.clear();
    pending_.clear();
    timers_.clear();
    disk_failed_ = false;
    transfers_.clear();
    received_objects_.clear();
    apply_scheduled_ = sync_scheduled_ = store_scheduled_ = false;
    installing_ = creating_snapshot_ = replicate_scheduled_ = false;
    world_.net().server_down(id_);
}

void sim_server::crash() {
    if (!running()) return;
    if (world_.tracing()) world_.trace("s" + std::to_string(id_) + " crashes");
    ++world_.count().crashes;
    if (!quiet()) ++world_.count().torn_crashes;
    power_off();
    disk_.crash(world_.chance());
}

void sim_server::crash_in_next_step() {
    crash_countdown_ = static_cast<int32_t>(world_.chance().below(14));
}

void sim_server::stop() {
    if (!running()) return;
    if (world_.tracing()) world_.trace("s" + std::to_string(id_) + " stops");
    input(protocol::inputs::stop{});
    if (!running()) return;
    if (holds_transfer()) fail("server ", id_, " stopped and did not free a transfer");
    if (!pending_.empty()) {
        fail("server ", id_, " stopped and left request ", *pending_.begin(), " unanswered");
    }
    if (!reads_.empty()) fail("server ", id_, " stopped and left a read unanswered");
    power_off();
    disk_.crash(world_.chance());
}

void sim_server::stall(time_us duration) {
    // Never sooner than before: what waits for the end of a longer stall goes on waiting.
    stalled_until_ = std::max(stalled_until_, world_.events().now() + duration);
    if (world_.tracing()) {
        world_.trace("s" + std::to_string(id_) + " stalls for " + std::to_string(duration / ms) +
                     " ms");
    }
}

time_us sim_server::stalled_for() const {
    return std::max<time_us>(0, stalled_until_ - world_.events().now());
}

time_us sim_server::awake_for() const {
    return world_.events().now() - stalled_until_;
}

bool sim_server::holds_transfer() const {
    for (const auto& [number, freed] : transfers_) {
        if (!freed) return true;
    }
    return false;
}

void sim_server::calm() {
    slowness_ = 1;
    crash_countdown_ = -1;
    if (disk_failed_) crash();
    if (!running()) boot();
}

void sim_server::fail_disk() {
    if (!running()) return;
    disk_failed_ = true;
    const uint64_t life = life_;
    world_.events().after(world_.chance().between(0, 100) * ms, [this, life] {
        if (life == life_) crash();
    });
    input(protocol::inputs::log_failed{});
}

void sim_server::input(const protocol::input& in) {
    const checker::before was = checker::look(*this);
    const uint64_t life = life_;
    protocol::effects out;
    if (std::exchange(told_applied_, machine_.index) != machine_.index) {
        node_->step(local_time(), protocol::inputs::applied{machine_.index}, out);
    }
    node_->step(local_time(), in, out);
    if (world_.tracing()) {
        world_.trace("s" + std::to_string(id_) + " <- " + describe(in) + "\n        " +
                     node_->describe() + describe(out));
    }
    world_.mix_digest(world_.events().now());
    world_.mix_digest(in.index() + (node_->commit_index() << 8) + (node_->term() << 40));
    world_.check().stepped(*this, was, in, out);
    execute(was, out);
    if (life_ != life) return;
    world_.check().executed(*this, was, in);
    if (out.question) answer_question(*out.question);
    if (out.candidacy) {
        const uint64_t steps = 1 + world_.chance().below(world_.opts().term_steps);
        input(protocol::inputs::term_answer{out.candidacy->current + steps});
    }
}

void sim_server::post(uint64_t life, const protocol::input& in) {
    if (life != life_ || !running()) return;
    if (stalled_for() == 0) return input(in);
    world_.events().after(stalled_for(), [this, life, in] { post(life, in); });
}

void sim_server::receive(const network::handle& c, uint64_t number, const ptr<req_msg>& msg) {
    protocol::inputs::request in;
    in.number = next_number();
    in.msg = msg;
    const bool append = msg->get_type() == msg_type::append_entries_request;
    const bool object = msg->get_type() == msg_type::install_snapshot_request;
    const bool would =
        append ? node_->would_accept(*msg, local_time()) : object && node_->would_store(*msg);
    in.declined = would && world_.chance().chance(world_.rate(world_.opts().declines));
    const std::vector<ptr<log_entry>>& entries = msg->log_entries();
    requests_[in.number] = {
        c,
        number,
        would && !in.declined,
        msg->get_type(),
        msg->get_last_log_idx() + entries.size(),
        entries.empty() ? msg->get_last_log_term() : entries.back()->get_term()};
    pending_.insert(in.number);
    input(in);
}

void sim_server::propose(const std::shared_ptr<operation>& op) {
    protocol::inputs::proposal in;
    in.number = next_number();
    for (const std::string& payload : op->payloads) {
        ptr<buffer> bytes = buffer::alloc(payload.size());
        bytes->put_raw(reinterpret_cast<const byte*>(payload.data()), payload.size());
        bytes->pos(0);
        in.entries.push_back(cs_new<log_entry>(0, bytes));
    }
    if (world_.chance().chance(world_.rate(world_.opts().expected_terms)))
        in.expected_term = node_->term() + world_.chance().below(2);
    ++op->attempts;
    if (world_.tracing()) {
        world_.trace("client asks s" + std::to_string(id_) + " for operation " +
                     std::to_string(op->number) + ", attempt " + std::to_string(op->attempts));
    }
    proposals_[in.number] = op;
    input(in);
}

uint64_t sim_server::ask_read() {
    const uint64_t number = next_number();
    if (world_.tracing()) world_.trace("client reads from s" + std::to_string(id_));
    reads_[number] = world_.check().committed();
    input(protocol::inputs::read_index{number});
    return number;
}

void sim_server::deliver_reads(const protocol::effects& out) {
    for (const protocol::read_answer& r : out.read_answers) {
        auto found = reads_.find(r.number);
        if (found == reads_.end()) fail("server ", id_, " answers read ", r.number, " twice");
        const uint64_t committed = found->second;
        reads_.erase(found);
        if (!r.index) continue;
        world_.check().read(*this, *r.index, committed);
        answered_reads_.insert(r.number);
        ++world_.count().reads;
    }
}

void sim_server::change_params(const raft_params& params) {
    params_ = params;
    if (!running()) return;
    protocol::inputs::settings_changed in;
    in.to.id = id_;
    in.to.params = params;
    input(in);
}

void sim_server::execute(const checker::before& was, protocol::effects& out) {
    // The order of the fields is the order of work; power may fail between any two of them.
    const uint64_t life = life_;
    int32_t left = crash_countdown_;
    crash_countdown_ = -1;
    auto go_on = [&] {
        if (left >= 0 && left-- == 0 && life_ == life) crash();
        return life_ == life;
    };
    if (!go_on()) return;
    if (out.save) save(out);
    if (!go_on()) return;
    if (out.save_config) {
        world_.check().saving_config(*this, was, out);
        disk_.config = copy_config(*out.save_config);
    }
    if (!go_on()) return;
    deliver_answers(out);
    heed_notices(out);
    if (out.applied_reset) {
        // Only a stranger's state may be given up, and the simulated ones begin with nothing.
        if (*out.applied_reset != 0) fail("server ", id_, " resets to ", *out.applied_reset);
        machine_ = disk_.machine = machine_state{};
        may_apply_ = 0;
    }
    if (!go_on()) return;
    if (out.write) write(*out.write);
    world_.check().committing(*this, was);
    if (!go_on()) return;
    for (const protocol::timer_change& t : out.timers) set_timer(t);
    for (const protocol::connection_change& c : out.connections) world_.net().change(id_, c);
    if (!go_on()) return;
    send(out);
    if (!go_on()) return;
    for (const protocol::reply& r : out.replies) reply(r);
    deliver_reads(out);
    if (!go_on()) return;
    for (const protocol::read_object& r : out.reads) read(r);
    for (const protocol::save_object& s : out.saves) save_object(s);
    if (out.pack) install_pack(*out.pack);
    for (uint64_t number : out.freed_transfers) {
        bool& freed = transfers_[number];
        if (freed) fail("server ", id_, " frees transfer ", number, " twice");
        freed = true;
    }
    if (!go_on()) return;
    if (out.commit) {
        may_apply_ = std::max(may_apply_, *out.commit);
        schedule_apply();
    }
    if (out.replicate_wanted && !replicate_scheduled_) {
        replicate_scheduled_ = true;
        later_do(world_.chance().between(0, 2 * ms), [this] {
            replicate_scheduled_ = false;
            input(protocol::inputs::replicate{});
        });
    }
}

void sim_server::save(protocol::effects& out) {
    if (out.save->catching_up && outsider_) {
        outsider_ = false;
        last_led_ = 0;  // Of its own cluster, whose terms mean nothing here.
    }
    disk_.state = *out.save;
}

void sim_server::deliver_answers(const protocol::effects& out) {
    for (const protocol::answer& a : out.answers) {
        auto found = proposals_.find(a.number);
        if (found == proposals_.end()) continue;
        std::shared_ptr<operation> op = found->second;
        proposals_.erase(found);
        if (!a.accepted) {
            world_.retry(op);
            continue;
        }
        if (a.last_index - a.first_index + 1 != op->hashes.size()) {
            fail("server ", id_, " accepted ", op->hashes.size(), " entries as ", a.first_index,
                 "..", a.last_index);
        }
        waiters_[a.last_index] = {op, a.first_index, a.last_index, a.term};
    }
}

void sim_server::heed_notices(const protocol::effects& out) {
    using protocol::notice;
    for (const notice& n : out.notices) {
        switch (n.what) {
            case notice::became_leader:
                // 30
                if (leads_ || n.term == last_led_) {
                    fail("server ", id_, " says twice that it leads in term ", n.term);
                }
                leads_ = true;
                last_led_ = n.term;
                ++world_.count().elections;
                break;
            case notice::became_follower:
                leads_ = false;
                cancel_waiters();
                break;
            case notice::config_active:
                ++world_.count().config_changes;
                break;
            case notice::joined_cluster:
                told_of_removal_ = false;
                ++world_.count().servers_added;
                break;
            case notice::removed_from_cluster:
                told_of_removal_ = true;
                ++world_.count().servers_removed;
                break;
            case notice::misbehaving_leader:
                fail("server ", id_, " hears another leader, ", n.peer, ", in term ", n.term);
            case notice::bad_message:
                fail("server ", id_, " calls a message bad: ", n.text);
            case notice::halt:
                if (!disk_failed_) fail("server ", id_, " halts with ", n.code, ": ", n.text);
                break;
            case notice::leadership_expired:
                later_do(0, [this] { input(protocol::inputs::yield{true, -1}); });
                break;
            case notice::resign_wanted:
            case notice::transfer_wanted: {
                const int32_t heir = n.peer;
                ++world_.count().handovers;
                later_do(0, [this, heir] { input(protocol::inputs::yield{false, heir}); });
                break;
            }
            case notice::quorum_adjustment_wanted:
                later_do(0, [this] { consider_going_on_alone(); });
                break;
            case notice::snapshot_wanted:
                later_do(0, [this] { maybe_create_snapshot(true); });
                break;
            default:
                break;
        }
    }
}

void sim_server::set_timer(const protocol::timer_change& t) {
    const std::pair<int, int32_t> key{static_cast<int>(t.kind), t.peer};
    if (t.delay_ms < 0) {
        timers_.erase(key);
        return;
    }
    const uint64_t number = ++next_timer_;
    timers_[key] = number;
    later_do(from_local(t.delay_ms) + world_.chance().between(0, 2 * ms), [this, key, number, t] {
        auto found = timers_.find(key);
        if (found == timers_.end() || found->second != number) return;
        timers_.erase(found);
        input(protocol::inputs::timer_fired{t.kind, t.peer});
    });
}

void sim_server::send(const protocol::effects& out) {
    for (const protocol::outgoing& o : out.send) {
        world_.check().sending(*this, o);
        if (world_.chance().chance(world_.rate(world_.opts().kept_back))) {
            const uint64_t number = o.number;
            later_do(0, [this, number] { input(protocol::inputs::send_failed{number, true}); });
            continue;
        }
        world_.net().send(id_, o);
    }
}

void sim_server::reply(const protocol::reply& r) {
    auto found = requests_.find(r.request);
    if (found == requests_.end()) {
        fail("server ", id_, " answers request ", r.request, " which is not pending");
    }
    const incoming in = found->second;
    requests_.erase(found);
    pending_.erase(r.request);
    if (r.msg) {
        world_.check().replying(*this, in.type, *r.msg);
        if (in.type == msg_type::append_entries_request && r.msg->get_accepted()) {
            if (!in.would_accept) {
                fail("server ", id_, " accepts an append that it said it would not");
            }
            world_.check().acknowledging(*this, in.through, in.through_term);
        }
        if (r.msg->get_type() == msg_type::append_entries_response && world_.chaos() &&
            world_.opts().size_hints && world_.chance().chance(1000)) {
            const int64_t hints[] = {-1, 1, 30};
            r.msg->set_next_batch_size_hint_in_bytes(hints[world_.chance().below(3)]);
        }
    }
    world_.net().answer(in.connection, in.number, r.msg);
}

void sim_server::answer_question(const protocol::commit_question& q) {
    uint64_t index = q.expected;
    if (world_.chance().chance(world_.rate(world_.opts().commit_pins))) {
        index = q.current + world_.chance().below(q.expected - q.current + 1);
    }
    input(protocol::inputs::commit_answer{index});
}

void sim_server::consider_going_on_alone() {
    // Two that go on alone lose what the other commits (behaviour 20). This program knows better
    // than any real one when that cannot be.
    for (const ptr<srv_config>& member : node_->config()->get_servers()) {
        if (member->get_id() != id_ && world_.server(member->get_id()).running()) return;
    }
    if (world_.check().holds_all_committed(*this)) input(protocol::inputs::adjust_quorum{});
}

void sim_server::cancel_waiters() {
    for (auto& [index, w] : waiters_) world_.retry(w.op);
    waiters_.clear();
}

}  // namespace sim
