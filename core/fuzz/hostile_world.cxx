#include "hostile_world.hxx"

#include <algorithm>

#include "buffer_serializer.hxx"
#include "snapshot_sync_req.hxx"
#include "targets.hxx"

// The server, what is done about its effects, and what must hold after each step.

namespace fuzz {

using namespace nuraft;
namespace in = nuraft::protocol::inputs;

namespace {

constexpr int32_t me = 2;
constexpr size_t most_sent = 64;  ///< Of its requests that can still be answered.
constexpr int32_t longest_timer_ms = 60000;

ptr<cluster_config> config_of(std::initializer_list<int32_t> ids) {
    auto config = cs_new<cluster_config>();
    for (int32_t id : ids)
        config->get_servers().push_back(cs_new<srv_config>(id, "fuzz:" + std::to_string(id)));
    return config;
}

}  // namespace

hostile_world::hostile_world(byte_source& choices) : choices_(choices) {
    settings_.id = me;
    raft_params& params = settings_.params;
    params.heart_beat_interval_ = 100;
    params.election_timeout_lower_bound_ = 200;
    params.election_timeout_upper_bound_ = 400;
    params.log_sync_stop_gap_ = choices_.bit() ? 1 : 99999;
    params.max_log_gap_in_stream_ = choices_.bit() ? 8 : 0;
    params.use_new_joiner_type_ = choices_.bit();
    disk_.config = choices_.bit() ? config_of({me}) : config_of({1, me, 3});
    boot();
}

void hostile_world::boot() {
    // A server's first step: a log that a snapshot has outlived, or replaced, is given up.
    const ptr<snapshot> last = disk_.last_snapshot();
    const uint64_t covered = disk_.snapshot_index();
    if (covered >= disk_.start_index() && disk_.term_at(covered) != last->get_last_log_term()) {
        disk_.install(covered, true);
    }
    protocol::recovered from;
    from.state = disk_.state;
    from.config = cluster_config::deserialize(*disk_.config->serialize());
    from.last_snapshot = last;
    from.commit_index = covered;
    node_ = std::make_unique<protocol::raft>(settings_, 1, disk_, from);
    step(in::start{});
}

void hostile_world::restart() {
    unanswered_.clear();
    sent_.clear();
    saves_.clear();
    reads_.clear();
    packs_.clear();
    freed_transfers_.clear();
    disk_.crash(dice_);
    boot();
}

void hostile_world::run() {
    while (!choices_.empty() && !halted_) act();
    if (halted_) return;
    step(in::stop{});
    require(unanswered_.empty(), "a request is never answered");
}

/// A leader's entry that differs from a committed one: the one thing that may stop a server (B17).
bool hostile_world::contradicts_commit(const protocol::input& input) const {
    const auto* request = std::get_if<in::request>(&input);
    if (!request || request->msg->get_type() != msg_type::append_entries_request) return false;
    uint64_t index = request->msg->get_last_log_idx();
    for (const ptr<log_entry>& entry : request->msg->log_entries()) {
        const sim::disk::stored_entry* ours = disk_.logical_at(++index);
        if (index <= node_->commit_index() && ours && ours->term() != entry->get_term())
            return true;
    }
    return false;
}

void hostile_world::step(const protocol::input& input) {
    const protocol::hard_state was = node_->state();
    const uint64_t commit = node_->commit_index();
    const bool alone = node_->config()->get_servers().size() == 1;
    const bool may_halt = contradicts_commit(input);
    protocol::effects out;
    node_->step(now_, input, out);

    require_kept(was, commit, alone, out);
    for (const protocol::notice& n : out.notices) {
        require(n.what != protocol::notice::halt || may_halt, "halt: ", n.text);
    }
    halted_ = node_->halted();
    execute(out);
    if (out.candidacy && !halted_) {
        step(in::term_answer{choices_.near(out.candidacy->current + 1)});
    }
    if (out.question && !halted_) {
        step(in::commit_answer{choices_.near(out.question->expected)});
    }
}

void hostile_world::require_kept(const protocol::hard_state& was, uint64_t commit, bool alone,
                                 const protocol::effects& out) const {
    const protocol::hard_state& is = node_->state();
    require(is == was || (out.save && *out.save == is), "a change of term or vote is not saved");
    // Only a cluster of one that is absorbed by another takes over a smaller term.
    require(is.term >= was.term || (alone && is.catching_up), "the term falls from ", was.term,
            " to ", is.term);
    require(is.term != was.term || is.voted_for == was.voted_for || was.voted_for == -1,
            "the vote of term ", is.term, " changes from ", was.voted_for, " to ", is.voted_for);
    require(node_->commit_index() >= commit || out.applied_reset, "the commit index falls from ",
            commit, " to ", node_->commit_index());
    require(!out.write || out.applied_reset || out.write->first > commit, "committed entry ",
            out.write ? out.write->first : 0, " is rewritten");
    require(node_->commit_index() <= node_->last_log_index(), "commit index ",
            node_->commit_index(), " is beyond the log's end ", node_->last_log_index());
}

void hostile_world::execute(const protocol::effects& out) {
    if (out.save) disk_.state = *out.save;
    if (out.save_config) {
        disk_.config = cluster_config::deserialize(*out.save_config->serialize());
    }
    if (out.write) disk_.queue(*out.write);
    for (const protocol::timer_change& t : out.timers) {
        require(t.delay_ms <= longest_timer_ms, "a timer of ", t.delay_ms, " ms");
    }
    for (const protocol::outgoing& o : out.send) {
        require(o.msg->get_src() == me && o.msg->get_dst() == o.peer, "a request in a wrong name");
        sent_.push_back(o);
        if (sent_.size() > most_sent) sent_.pop_front();
    }
    for (const protocol::reply& r : out.replies) {
        require(unanswered_.erase(r.request) == 1, "request ", r.request, " is answered twice");
    }
    for (const protocol::read_object& r : out.reads) {
        require(freed_transfers_.count(r.transfer) == 0, "a read for a transfer that was freed");
        reads_.push_back(r);
    }
    saves_.insert(saves_.end(), out.saves.begin(), out.saves.end());
    if (out.pack) packs_.push_back(*out.pack);
    for (uint64_t t : out.freed_transfers) {
        require(freed_transfers_.insert(t).second, "transfer ", t, " is freed twice");
    }
}

void hostile_world::store_everything() {
    while (disk_.has_queued() && !halted_) step(in::log_stored{disk_.store_next()});
}

}  // namespace fuzz
