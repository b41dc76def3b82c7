#include <algorithm>

#include "base/bytes.hxx"
#include "buffer_serializer.hxx"
#include "protocol/raft.hxx"
#include "protocol/read_index.hxx"

// Losing and handing over leadership (dissertation 3.10 and 6.2; behaviour 29-31).

namespace nuraft {
namespace protocol {

namespace {
constexpr int out_of_range_notification = 1;
constexpr size_t out_of_range_size = 9;  // a version and an index
constexpr int takeover_notification = 2;
constexpr int resignation_notification = 3;
/// How long after a reconnect request the leader dials anew (behaviour 31).
constexpr int64_t redial_delay_ms = 3000;
}  // namespace

int32_t raft::silent_voters(int64_t longer_than_ms) const {
    int32_t silent = 0;
    for (const auto& [peer_id, p] : peers_) {
        silent += counts(p) && silence_of(p, now_) > longer_than_ms;
    }
    return silent;
}

bool raft::leadership_is_valid() {
    const raft_params& params = settings_.params;
    if (params.leadership_expiry_ < 0 || mutated(mutation::silent_quorum_kept)) return true;
    const int64_t expiry = params.leadership_expiry_ > 0
                               ? params.leadership_expiry_
                               : int64_t{params.heart_beat_interval_} * settings_.limits.leadership;
    if (voters() - silent_voters(expiry) >= commit_quorum()) return true;
    const int64_t silence = int64_t{params.heart_beat_interval_} * settings_.limits.response;
    for (auto& [peer_id, p] : peers_) {
        if (now_ - p.last_response > silence) report_lost(p);
    }
    return voters() <= commit_quorum() || handover_.has_value();
}

void raft::check_leadership() {
    if (role_ == srv_role::leader && !leadership_is_valid()) notify(notice::leadership_expired);
}

void raft::report_lost(peer_progress& p) {
    if (p.lost) return;
    p.lost = true;
    if (role_ == srv_role::leader) notify(notice::follower_lost, p.id);
}

bool raft::can_yield() const {
    return role_ == srv_role::leader && !handover_ && voters() > 1;
}

int32_t raft::best_successor(time_ms now) const {
    int32_t best = -1;
    int32_t best_priority = 0;
    for (const auto& [peer_id, p] : peers_) {
        const bool heard = now - p.last_response <= settings_.params.heart_beat_interval_;
        if (counts(p) && heard && p.server->get_priority() > best_priority) {
            best = peer_id;
            best_priority = p.server->get_priority();
        }
    }
    return best;
}

void raft::on_yield(const inputs::yield& in) {
    if (!can_yield()) return;
    if (in.immediate) return resign(false);
    const peer_progress* named = find_peer(in.successor);
    handover h;
    h.successor = named && counts(*named) ? in.successor : best_successor(now_);
    h.deadline = now_ + settings_.params.election_timeout_upper_bound_;
    handover_ = h;
    if (peer_progress* p = find_peer(h.successor)) try_send(*p);
}

void raft::resign(bool long_timer) {
    leader_ = -1;
    long_timer_once_ = long_timer;
    become_follower();
    leader_is_live_ = false;  // Others' pre-votes are welcome.
}

void raft::check_handover_deadline() {
    if (!handover_ || now_ < handover_->deadline) return;
    // The successor has everything, and it is only commits that are late: better than nobody.
    if (successor_has_all()) return pass_leadership();
    resign(false);
}

ptr<req_msg> raft::make_notification(int inner_type, uint64_t previous_index,
                                     uint64_t previous_term, int32_t to, const ptr<buffer>& body) {
    const uint32_t size = body ? static_cast<uint32_t>(body->size()) : 0;
    ptr<buffer> packed = buffer::alloc(6 + size);
    buffer_serializer bs(packed);
    bs.put_u8(0);  // version
    bs.put_u8(static_cast<uint8_t>(inner_type));
    bs.put_u32(size);
    if (body) bs.put_raw(body->data_begin(), size);
    auto req = cs_new<req_msg>(state_.term, msg_type::custom_notification_request, id(), to,
                               previous_term, previous_index, commit_index_);
    req->log_entries().push_back(cs_new<log_entry>(0, packed, log_val_type::custom));
    return req;
}

void raft::maybe_complete_handover() {
    if (!handover_ || role_ != srv_role::leader) return;
    // There may have been nobody fit when the handover began.
    if (handover_->successor == -1) handover_->successor = best_successor(now_);
    // What is not committed when we let go has an unknown outcome, and nothing new comes in: one
    // more answer, to the news of the last commit, and nobody is left in doubt.
    if (commit_index_ == log_.last_index() && successor_has_all()) pass_leadership();
}

bool raft::successor_has_all() const {
    const peer_progress* heir = find_peer(handover_->successor);
    return heir && heir->match == log_.last_index() && !heir->busy;
}

void raft::pass_leadership() {
    const uint64_t last = log_.last_index();
    const int32_t successor = handover_->successor;
    resign(true);
    peer_progress* heir = find_peer(successor);
    if (!heir) return;
    send_to(*heir,
            make_notification(takeover_notification, last, last_log_term(), successor, nullptr),
            true);
}

void raft::maybe_transfer_automatically() {
    const raft_params& params = settings_.params;
    if (params.leadership_transfer_min_wait_time_ <= 0 || role_ != srv_role::leader) return;
    if (now_ - leader_since_ < params.leadership_transfer_min_wait_time_ ||
        now_ - last_transfer_check_ < params.heart_beat_interval_ || handover_) {
        return;
    }
    last_transfer_check_ = now_;
    int32_t heir = -1;
    int32_t highest = my_priority_;
    for (const auto& [peer_id, p] : peers_) {
        const uint64_t reach = p.match + static_cast<uint64_t>(params.stale_log_gap_);
        if (reach < commit_index_) return;
        if (now_ - p.last_response > params.election_timeout_lower_bound_) return;
        if (counts(p) && p.server->get_priority() > highest) {
            heir = peer_id;
            highest = p.server->get_priority();
        }
    }
    if (heir != -1) notify(notice::transfer_wanted, heir);
}

void raft::on_request_leadership() {
    if (role_ == srv_role::leader) return;
    if (peer_progress* p = find_peer(leader_); p && !p->busy && ready_to_send(*p)) {
        send_to(*p,
                make_notification(resignation_notification, log_.last_index(), last_log_term(),
                                  p->id, nullptr),
                true);
    }
}

void raft::on_request_reconnect() {
    if (role_ == srv_role::leader) return;
    peer_progress* p = find_peer(leader_ != -1 ? leader_ : last_leader_);
    if (!p) return notify(notice::isolated);
    if (p->busy || !ready_to_send(*p)) return;
    send_to(*p, cs_new<req_msg>(state_.term, msg_type::reconnect_request, id(), p->id, 0, 0, 0),
            true);
}

void raft::on_notification_response(peer_progress& p, const resp_msg& resp) {
    if (role_ != srv_role::leader || !resp.get_accepted() || resp.get_next_idx() == 0) return;
    continue_from(p, resp.get_next_idx());
}

void raft::on_reconnect_request(const inputs::request& in) {
    peer_progress* p = role_ == srv_role::leader ? find_peer(in.msg->get_src()) : nullptr;
    if (p) p->redial_at = now_ + redial_delay_ms;
    answer_now(in.number, make_response(*in.msg, msg_type::reconnect_response,
                                        p ? log_.last_index() + 1 : 0, p != nullptr));
}

void raft::on_notification(const inputs::request& in) {
    req_msg& req = *in.msg;
    ptr<resp_msg> resp =
        make_response(req, msg_type::custom_notification_response, next_slot_for(req), true);
    if (req.log_entries().empty() || req.log_entries().front()->is_buf_null()) {
        return answer_now(in.number, resp);
    }
    try {
        buffer_serializer bs(req.log_entries().front()->get_buf());
        bs.get_u8();  // version
        const int inner_type = bs.get_u8();
        size_t size = 0;
        const auto* body = static_cast<const byte*>(bs.get_bytes(size));
        uint64_t start_of_leader = 0;
        if (inner_type == out_of_range_notification) {
            check_room(out_of_range_size, 0, size);
            start_of_leader = load_little_endian<uint64_t>(body + 1);  // behind a version
        }
        if (inner_type == read_index_notification) return take_read({in.number, in.msg, 0, 0});
        answer_now(in.number, resp);
        act_on_notification(inner_type, req, start_of_leader);
    } catch (const std::overflow_error& e) {
        report_bad_message(req.get_src(), std::string("a notification is cut short: ") + e.what());
        answer_now(in.number, nullptr);
    }
}

void raft::act_on_notification(int inner_type, const req_msg& req, uint64_t start_of_leader) {
    const bool from_member = config_->get_server(req.get_src()) != nullptr;
    switch (inner_type) {
        case out_of_range_notification:  // The leader has neither the entries nor a snapshot for
                                         // us.
            adopt_term(req.get_term());
            if (req.get_term() != state_.term || role_ == srv_role::leader) return;
            out_of_log_range_ = true;
            arm_election_timer(true);
            return notify(notice::out_of_log_range, -1, start_of_leader);
        case takeover_notification:
            if (!from_member || role_ == srv_role::leader || req.get_term() < state_.term ||
                !is_voter() || state_.catching_up || state_.receiving_snapshot) {
                return;  // B37
            }
            adopt_term(req.get_term());
            start_vote(true);
            return arm_election_timer(false);
        case resignation_notification:
            if (from_member && can_yield()) notify(notice::resign_wanted, req.get_src());
            return;
        default:
            return;
    }
}

}  // namespace protocol
}  // namespace nuraft
