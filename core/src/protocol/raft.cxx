#include "protocol/raft.hxx"

#include <algorithm>

#include "error_code.hxx"

namespace nuraft {
namespace protocol {

raft::raft(const settings& s, uint64_t seed, const log_view& log, const recovered& from)
    : settings_(s),
      random_(seed),
      log_(log),
      state_(from.state),
      config_(from.config),
      former_voters_(from.config->get_log_idx() == 0 ? from.config : nullptr),
      snapshot_(from.last_snapshot),
      commit_index_(from.commit_index) {
    if (snapshot_) {
        commit_index_ = std::max<uint64_t>(commit_index_, snapshot_->get_last_log_idx());
    }
    initial_commit_index_ = commit_index_;
    if (!state_.catching_up) {
        // A configuration is saved only once it is committed; so much is known after a restart.
        commit_index_ =
            std::max(commit_index_, std::min<uint64_t>(config_->get_log_idx(), log_.last_index()));
    }
    durable_index_ = lag_target_ = log_.last_index();
    applied_index_ = initial_commit_index_;
    for (const ptr<srv_config>& server : config_->get_servers()) {
        if (server->get_id() == id()) {
            my_priority_ = server->get_priority();
            im_learner_ = server->is_learner();
        } else {
            peers_[server->get_id()].server = server;
        }
    }
    for (auto& [peer_id, p] : peers_) {
        p.id = peer_id;
        p.heartbeat_ms = settings_.params.heart_beat_interval_;
    }
    recover_configs();
}

raft::~raft() = default;

/// Hands each input to its rule.
struct raft::dispatcher {
    raft& r;

    void operator()(const inputs::start& in) { r.on_start(in); }
    void operator()(const inputs::timer_fired& in) {
        switch (in.kind) {
            case timer_kind::election:
                return r.on_election_timeout();
            case timer_kind::heartbeat:
                return r.on_heartbeat_timer(in.peer);
            case timer_kind::retry:
                return r.on_retry_timer();
            case timer_kind::progress:
                return r.on_progress_timer(in.peer);
        }
    }
    void operator()(const inputs::request& in) {
        request(in);
        // Only now: the request may be of a later term, in which nothing is ours to hand over.
        r.check_handover_deadline();
    }
    void operator()(const inputs::response& in) { r.on_response(in); }
    void operator()(const inputs::send_failed& in) { r.on_send_failed(in); }
    void operator()(const inputs::proposal& in) { r.on_proposal(in); }
    void operator()(const inputs::replicate& in) { r.on_replicate(in); }
    void operator()(const inputs::campaign& in) { r.on_campaign(in); }
    void operator()(const inputs::replace_config& in) { r.on_replace_config(in); }
    void operator()(const inputs::log_stored& in) { r.on_log_stored(in); }
    void operator()(const inputs::log_durable& in) { r.on_log_durable(in); }
    void operator()(const inputs::log_failed&) { r.on_log_failed(); }
    void operator()(const inputs::commit_answer& in) { r.on_commit_answer(in); }
    void operator()(const inputs::term_answer& in) { r.on_term_answer(in); }
    void operator()(const inputs::applied& in) { r.on_applied(in); }
    void operator()(const inputs::adjust_quorum&) { r.on_adjust_quorum(); }
    void operator()(const inputs::mark_down& in) { r.on_mark_down(in); }
    void operator()(const inputs::read_index& in) { r.on_read_index(in); }
    void operator()(const inputs::check_leadership&) { r.check_leadership(); }
    void operator()(const inputs::snapshot_created& in) { r.on_snapshot_created(in); }
    void operator()(const inputs::object_read& in) { r.on_object_read(in); }
    void operator()(const inputs::object_saved& in) { r.on_object_saved(in); }
    void operator()(const inputs::pack_installed& in) { r.on_pack_installed(in); }
    void operator()(const inputs::add_server& in) { r.on_add_server(in); }
    void operator()(const inputs::remove_server& in) { r.on_remove_server(in); }
    void operator()(const inputs::set_priority& in) { r.on_set_priority(in); }
    void operator()(const inputs::set_user_context& in) { r.on_set_user_context(in); }
    void operator()(const inputs::update_server& in) { r.on_update_server(in); }
    void operator()(const inputs::set_learner& in) { r.on_set_learner(in); }
    void operator()(const inputs::yield& in) { r.on_yield(in); }
    void operator()(const inputs::request_leadership&) { r.on_request_leadership(); }
    void operator()(const inputs::request_reconnect&) { r.on_request_reconnect(); }
    void operator()(const inputs::restart_election_timer&) { r.arm_election_timer(true); }
    void operator()(const inputs::settings_changed& in) { r.on_settings_changed(in); }
    void operator()(const inputs::reconnect_at_once& in) { r.reconnect_at_once_ = in.on; }
    void operator()(const inputs::stop&) { r.on_stop(); }

    void request(const inputs::request& in) {
        if (in.msg->get_term() > largest_number || in.msg->get_last_log_idx() > largest_number) {
            r.report_bad_message(in.msg->get_src(), "a request counts further than anybody can");
            return r.answer_now(in.number, nullptr);
        }
        switch (in.msg->get_type()) {
            case msg_type::append_entries_request:
                return r.on_append_request(in);
            case msg_type::request_vote_request:
                return r.on_vote_request(in);
            case msg_type::pre_vote_request:
                return r.on_pre_vote_request(in);
            case msg_type::install_snapshot_request:
                return r.on_install_request(in);
            case msg_type::join_cluster_request:
                return r.on_join_request(in);
            case msg_type::sync_log_request:
                return r.on_sync_request(in);
            case msg_type::leave_cluster_request:
                return r.on_leave_request(in);
            case msg_type::priority_change_request:
                return r.on_priority_request(in);
            case msg_type::reconnect_request:
                return r.on_reconnect_request(in);
            case msg_type::custom_notification_request:
                return r.on_notification(in);
            case msg_type::ping_request:
                return r.answer_now(in.number,
                                    r.make_response(*in.msg, msg_type::ping_response, 0, false));
            default:
                return r.answer_now(in.number, nullptr);
        }
    }
};

void raft::step(time_ms now, const input& in, effects& out) {
    if (stopped_ || halted_) {
        // Whoever asks must still hear that there is no answer.
        if (auto* req = std::get_if<inputs::request>(&in)) {
            out.replies.push_back({req->number, nullptr});
        } else if (auto* p = std::get_if<inputs::proposal>(&in)) {
            answer refused;
            refused.number = p->number;
            refused.code = cmd_result_code::BAD_REQUEST;
            out.answers.push_back(refused);
        } else if (auto* read = std::get_if<inputs::read_index>(&in)) {
            out.read_answers.push_back({read->number, std::nullopt});
        }
        return;
    }
    now_ = std::max(now_, now);
    out_ = &out;
    std::visit(dispatcher{*this}, in);
    answer_reads();
    out_ = nullptr;
}

bool raft::adopt_term(uint64_t term) {
    // "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to
    // follower" (Raft figure 2).
    if (term <= state_.term) return false;
    state_.term = term;
    state_.voted_for = -1;
    if (!mutated(mutation::term_not_saved)) save_state();
    become_follower();
    return true;
}

void raft::become_follower() {
    const bool was_leader = role_ == srv_role::leader;
    refuse_reads();
    for (auto& [peer_id, p] : peers_) {
        if (p.heartbeat_on) cancel(timer_kind::heartbeat, peer_id);
        p.heartbeat_on = false;
        p.streaming = false;
        p.leave_requested = p.leave_unsent = p.knows_removal = false;
        p.heartbeats_since_leave = 0;
        drop_transfer(p);
    }
    if (joining_) {
        drop_transfer(joining_->progress);
        forget_sends(joining_->progress);
        out_->connections.push_back(
            {connection_change::close, joining_->server->get_id(), std::string()});
        cancel(timer_kind::retry, -1);
        joining_.reset();
    }
    leaving_ = -1;
    awaits_own_machine_ = false;
    quorum_adjusted_ = false;
    role_ = srv_role::follower;
    index_at_becoming_leader_ = 0;
    handover_.reset();
    initialized_ = true;
    vote_.open = false;
    pre_vote_.quorum_rejections = pre_vote_.unanswered = 0;
    notify(notice::became_follower);
    if (was_leader) {
        match_peers_to_config();
        arm_election_timer(false);
    }
}

void raft::halt(int code, const std::string& why) {
    halted_ = true;
    refuse_reads();
    cancel(timer_kind::election, -1);
    for (auto& [peer_id, p] : peers_) cancel(timer_kind::heartbeat, peer_id);
    notice n;
    n.what = notice::halt;
    n.term = state_.term;
    n.leader = leader();
    n.code = code;
    n.text = why;
    out_->notices.push_back(n);
}

void raft::notify(notice::kind what, int32_t peer, uint64_t index) {
    notice n;
    n.what = what;
    n.term = state_.term;
    n.index = index;
    n.peer = peer;
    n.leader = leader();
    out_->notices.push_back(n);
}

void raft::report_bad_message(int32_t peer, const std::string& text) {
    notice n;
    n.what = notice::bad_message;
    n.peer = peer;
    n.text = text;
    out_->notices.push_back(n);
}

void raft::arm(timer_kind kind, int32_t peer, int32_t delay_ms) {
    out_->timers.push_back({kind, peer, delay_ms});
}

void raft::cancel(timer_kind kind, int32_t peer) {
    out_->timers.push_back({kind, peer, -1});
}

int32_t raft::uniform(int32_t low, int32_t high) {
    if (high <= low) return low;
    // Not std::uniform_int_distribution: its results differ between standard libraries, and the
    // same seed must give the same run everywhere. The bias of % is immaterial here.
    return low + static_cast<int32_t>(random_() % static_cast<uint64_t>(high - low + 1));
}

void raft::write_log(uint64_t first, std::vector<ptr<log_entry>> entries, uint64_t batch_first,
                     uint64_t batch_count) {
    const uint64_t old_end = log_.last_index() + 1;
    const uint64_t number = log_.write(first, entries);
    if (out_->write && first == old_end) {
        // A second append in one step, such as two configuration entries: one write for both.
        log_write& w = *out_->write;
        w.number = number;
        w.batch_count += batch_count;
        w.entries.insert(w.entries.end(), entries.begin(), entries.end());
        return;
    }
    log_write w;
    w.number = number;
    w.first = first;
    w.discarded_end = std::max(old_end, first);
    w.entries = std::move(entries);
    w.batch_first = batch_first;
    w.batch_count = batch_count;
    out_->write = std::move(w);
}

uint64_t raft::term_of(uint64_t index) const {
    if (index == 0) return 0;
    const uint64_t term = log_.term_at(index);
    if (term != 0 || mutated(mutation::emptied_log_has_no_term)) return term;
    return snapshot_ && snapshot_->get_last_log_idx() == index ? snapshot_->get_last_log_term() : 0;
}

uint64_t raft::last_log_term() const {
    // An emptied log still ends where its snapshot ends (B9).
    return term_of(log_.last_index());
}

peer_progress* raft::find_peer(int32_t id) {
    auto found = peers_.find(id);
    return found == peers_.end() ? nullptr : &found->second;
}

const peer_progress* raft::find_peer(int32_t id) const {
    auto found = peers_.find(id);
    return found == peers_.end() ? nullptr : &found->second;
}

peer_progress* raft::find_target(int32_t id) {
    if (joining_ && joining_->progress.id == id) return &joining_->progress;
    return find_peer(id);
}

bool raft::is_joining(const peer_progress& p) const {
    return joining_ && &joining_->progress == &p;
}

bool raft::counts(const peer_progress& p) const {
    return is_regular(*p.server) && p.id != leaving_;
}

bool raft::is_voter_in(const cluster_config& config) const {
    ptr<srv_config> me = config.get_server(id());
    return me && is_regular(*me);
}

int32_t raft::voters() const {
    // From the configuration, not from the peers that we happen to talk to: a server that has shut
    // its connections must not take itself for a majority.
    int32_t count = 0;
    for (const ptr<srv_config>& server : config_->get_servers()) {
        count += is_regular(*server) && server->get_id() != leaving_ ? 1 : 0;
    }
    return count;
}

int32_t raft::election_quorum_among(int32_t voters) const {
    if (quorum_is_adjusted()) return adjusted_quorum_size;
    return quorum_of(voters, settings_.params.custom_election_quorum_size_);
}

int32_t raft::commit_quorum_among(int32_t voters, int32_t left_out) const {
    if (quorum_is_adjusted()) return adjusted_quorum_size;
    const int32_t n = voters - left_out;
    const int32_t custom = settings_.params.custom_commit_quorum_size_;
    if (n == voters || (custom >= 1 && custom <= n)) return quorum_of(n, custom);
    // Those left out vote, so what is committed without them must still meet every election quorum.
    return std::max(quorum_of(n, 0), voters - election_quorum_among(voters) + 1);
}

int32_t raft::election_quorum() const {
    return election_quorum_among(voters());
}

int32_t raft::commit_quorum() const {
    return commit_quorum_among(voters(), left_out());
}

int32_t raft::highest_priority() const {
    int32_t highest = my_priority_;
    for (const auto& [peer_id, p] : peers_) highest = std::max(highest, p.server->get_priority());
    return highest;
}

int32_t raft::max_heartbeat_ms() const {
    return settings_.params.max_hb_interval();
}

int32_t raft::leader() const {
    return leader_ == id() && role_ != srv_role::leader ? -1 : leader_;
}

bool raft::leader_alive() const {
    return leader() != -1 && leader_is_live_;
}

ptr<cluster_config> raft::config_at(uint64_t index) const {
    // A committed configuration may still wait for our own disk.
    auto waiting = uncommitted_configs_.upper_bound(std::min(index, commit_index_));
    if (waiting != uncommitted_configs_.begin()) return std::prev(waiting)->second;
    auto after = past_configs_.upper_bound(index);
    if (after == past_configs_.begin()) {
        return past_configs_.empty() ? nullptr : past_configs_.begin()->second;
    }
    return std::prev(after)->second;
}

std::vector<peer_view> raft::peers(time_ms now) const {
    std::vector<peer_view> views;
    if (role_ != srv_role::leader) return views;
    for (const auto& [peer_id, p] : peers_) {
        peer_view v;
        v.id = peer_id;
        v.last_accepted = p.last_accepted;
        v.match = p.match;
        v.next = p.next;
        v.applied = p.applied;
        v.since_last_response = now - p.last_response;
        v.receiving_snapshot = p.transfer != nullptr;
        views.push_back(v);
    }
    return views;
}

inner_view raft::inspect() const {
    inner_view v;
    v.voters = voters();
    v.my_priority = my_priority_;
    v.target_priority = target_priority_;
    v.votes_responded = static_cast<int32_t>(vote_.responded.size());
    v.votes_granted = static_cast<int32_t>(vote_.granted.size());
    v.voting = vote_.open;
    v.learner = im_learner_;
    v.out_of_log_range = out_of_log_range_;
    v.steps_to_leave = steps_to_leave_;
    v.writes_paused = writes_paused();
    if (handover_) v.successor = handover_->successor;
    v.leaving = leaving_;
    v.leaving_index = leaving_index_;
    if (joining_) v.joining = joining_->server;
    if (!uncommitted_configs_.empty()) v.uncommitted = uncommitted_configs_.rbegin()->second;
    return v;
}

std::string raft::describe() const {
    return "server " + std::to_string(id()) + " " + srv_role_to_string(role_) + " term " +
           std::to_string(state_.term) + " voted " + std::to_string(state_.voted_for) + " leader " +
           std::to_string(leader()) + " log " + std::to_string(log_.start_index()) + ".." +
           std::to_string(log_.last_index()) + " durable " + std::to_string(durable_index_) +
           " commit " + std::to_string(commit_index_) + " config " +
           std::to_string(config_->get_log_idx());
}

void raft::on_settings_changed(const inputs::settings_changed& in) {
    const int32_t my_id = settings_.id;
    settings_ = in.to;
    settings_.id = my_id;
    for (auto& [peer_id, p] : peers_) p.heartbeat_ms = settings_.params.heart_beat_interval_;
    if (role_ != srv_role::leader) arm_election_timer(false);
}

void raft::on_stop() {
    stopped_ = true;
    refuse_reads();
    cancel(timer_kind::election, -1);
    cancel(timer_kind::retry, -1);
    for (auto& [peer_id, p] : peers_) {
        cancel(timer_kind::heartbeat, peer_id);
        drop_transfer(p);
    }
    if (joining_) drop_transfer(joining_->progress);
    for (const waiting_answer& w : waiting_answers_) out_->replies.push_back({w.request, nullptr});
    waiting_answers_.clear();
    for (const auto& [request, msg] : packs_waiting_) out_->replies.push_back({request, nullptr});
    packs_waiting_.clear();
    if (receiving_.request != 0) out_->replies.push_back({receiving_.request, nullptr});
    receiving_ = receiving();
}

}  // namespace protocol
}  // namespace nuraft
