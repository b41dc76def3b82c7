#include "peer_watch.hxx"

#include "cluster.hxx"
#include "protocol/membership.hxx"

namespace sim {

using namespace nuraft;

namespace {

/// How late a timer may be, and what it asks for be done.
constexpr protocol::time_ms slack_ms = 20;
/// In heartbeats, of a leader whose expiry is not set (`limits::leadership`).
constexpr protocol::time_ms default_expiry = 20;

template <typename F>
void each_target(const sim_server& s, F f) {
    s.node().each_peer(f);
    if (const protocol::peer_progress* joining = s.node().joining_peer()) f(*joining);
}

}  // namespace

void peer_watch::sending(const sim_server& s, const protocol::outgoing& o) {
    if (o.msg->get_type() != msg_type::append_entries_request) return;
    s.node().each_peer([&](const protocol::peer_progress& p) {
        if (p.id != o.peer || !p.streaming) return;
        // 27
        const uint64_t before = o.msg->get_last_log_idx();
        auto known = streams_.find({s.id(), p.id});
        const bool goes_on = known != streams_.end() && known->second.life == s.life() &&
                             known->second.epoch == p.stream_epoch;
        if (goes_on ? before != known->second.end : before >= p.next) {
            fail("server ", s.id(), " streams to ", p.id, " from ", before + 1, " on after ",
                 goes_on ? known->second.end : p.next - 1);
        }
        streams_[{s.id(), p.id}] = {s.life(), p.stream_epoch, before + o.msg->log_entries().size()};
    });
}

void peer_watch::executed(const sim_server& s, const protocol::input& in) {
    each_target(s, [&](const protocol::peer_progress& p) { check_bytes(s, p); });
    s.node().each_peer([&](const protocol::peer_progress& p) { check_stream(s, p); });
    if (s.outsider()) return;
    hear(s, in);
    check_expiry(s);
}

void peer_watch::check_stream(const sim_server& s, const protocol::peer_progress& p) {
    auto known = streams_.find({s.id(), p.id});
    if (known == streams_.end()) return;
    if (!p.streaming) {
        streams_.erase(known);
        return;
    }
    if (known->second.life != s.life() || known->second.epoch != p.stream_epoch) return;
    // 27
    if (known->second.end != p.stream_position) {
        fail("server ", s.id(), " believes to have streamed to ", p.id, " up to ",
             p.stream_position, ", but it was ", known->second.end);
    }
}

void peer_watch::check_bytes(const sim_server& s, const protocol::peer_progress& p) const {
    // 28
    if (p.unanswered < 0 || p.bytes_in_flight < 0 || (p.unanswered == 0 && p.bytes_in_flight > 0)) {
        fail("server ", s.id(), " counts ", p.unanswered, " requests and ", p.bytes_in_flight,
             " bytes on their way to ", p.id);
    }
}

void peer_watch::idle(const sim_server& s) const {
    // The others may still wait for an answer on a connection that they do not use any more.
    if (s.node().role() != srv_role::leader) return;
    each_target(s, [&](const protocol::peer_progress& p) {
        // 28
        if (p.bytes_in_flight != 0) {
            fail("server ", s.id(), " counts ", p.bytes_in_flight, " bytes on their way to ", p.id,
                 " and there are none");
        }
    });
}

void peer_watch::hear(const sim_server& s, const protocol::input& in) {
    const protocol::raft& r = s.node();
    if (r.role() != srv_role::leader) {
        leaderships_.erase(s.id());
        return;
    }
    leadership& l = leaderships_[s.id()];
    if (l.life != s.life() || l.term != r.term()) l = {s.life(), r.term(), 0, 0, {}};
    const int32_t voters = r.inspect().voters;
    if (l.voters != voters) l.voters_since = s.local_time();
    l.voters = voters;
    const auto* response = std::get_if<protocol::inputs::response>(&in);
    if (response && response->msg->get_accepted()) {
        l.heard[response->msg->get_src()] = s.local_time();
    }
    // Nobody is silent from before he was a peer, or was one again.
    std::map<int32_t, protocol::time_ms> heard;
    r.each_peer([&](const protocol::peer_progress& p) {
        auto known = l.heard.find(p.id);
        heard[p.id] = known == l.heard.end() ? s.local_time() : known->second;
    });
    l.heard.swap(heard);
}

void peer_watch::check_expiry(const sim_server& s) const {
    const protocol::raft& r = s.node();
    const raft_params& params = world_.opts().params;
    const int32_t quorum = r.commit_quorum();
    const protocol::inner_view v = r.inspect();
    if (r.role() != srv_role::leader || params.leadership_expiry_ < 0 || v.voters <= quorum) return;
    // When the last receiver of a snapshot is given up, more are needed at once.
    if (params.exclude_snp_receiver_from_quorum_) return;
    const protocol::time_ms interval = params.max_hb_interval();
    const protocol::time_ms expiry = params.leadership_expiry_ > 0
                                         ? params.leadership_expiry_
                                         : params.heart_beat_interval_ * default_expiry;
    // While it is frozen it cannot resign, and a hand-over has a limit of its own.
    if (v.writes_paused || s.awake_for() < 2 * (interval + slack_ms) * ms) return;
    // It looks again with the next heartbeat when a voter that answered is gone.
    const leadership& l = leaderships_.at(s.id());
    if (s.local_time() - l.voters_since <= interval + slack_ms) return;
    // 29
    int32_t silent = 0;
    r.each_peer([&](const protocol::peer_progress& p) {
        const protocol::time_ms silence = s.local_time() - l.heard.at(p.id);
        const bool counts = protocol::is_regular(*p.server) && p.id != v.leaving;
        silent += counts && silence > expiry + interval + slack_ms ? 1 : 0;
    });
    if (v.voters - silent < quorum) {
        fail("server ", s.id(), " leads term ", r.term(), " though only ", v.voters - silent,
             " of ", v.voters, " voters answer");
    }
}

}  // namespace sim
