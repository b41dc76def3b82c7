#include "protocol/read_index.hxx"

#include <algorithm>
#include <utility>

#include "buffer_serializer.hxx"
#include "protocol/raft.hxx"

// Linearizable reads without an entry in the log (Ongaro's dissertation 6.4, ReadIndex). Not in
// NuRaft.
//
// A leader of term T answers a read with an index, once a majority has answered a request in T that
// it sent after the read came. Whoever has applied that index sees every write that was
// acknowledged, by anybody, before the read came. For
//
// - no leader of a later term had been elected by then: of those who elected one, at least one is
//   among those who answered (`decisive_configs` says why these majorities meet, taking the read
//   for an entry at the end of our log), and he answered in T before he voted in that later term;
// - so what had been acknowledged was committed by us, hence at most at our commit index, or in an
//   earlier term, and all of that stands before our own first entry (Raft 5.4.3).
//
// No clock is asked: a leader that is slow, cut off or deposed answers late or not at all.

namespace nuraft {
namespace protocol {

namespace {

constexpr uint8_t context_version = 0;
constexpr size_t context_size = 10;  // version, whether there is an index, index

}  // namespace

ptr<req_msg> read_index_question(int32_t from, int32_t to) {
    ptr<buffer> body = buffer::alloc(6);
    buffer_serializer bs(body);
    bs.put_u8(0);  // version
    bs.put_u8(read_index_notification);
    bs.put_u32(0);  // no context
    auto req = cs_new<req_msg>(0, msg_type::custom_notification_request, from, to, 0, 0, 0);
    req->log_entries().push_back(cs_new<log_entry>(0, body, log_val_type::custom));
    return req;
}

ptr<buffer> read_index_context(const std::optional<uint64_t>& index) {
    ptr<buffer> context = buffer::alloc(context_size);
    buffer_serializer bs(context);
    bs.put_u8(context_version);
    bs.put_u8(index ? 1 : 0);
    bs.put_u64(index.value_or(0));
    return context;
}

read_index_reply read_index_reply_in(const ptr<buffer>& context) {
    read_index_reply found;
    if (!context || context->size() < context_size) return found;
    buffer_serializer bs(*context);
    if (bs.get_u8() != context_version) return found;
    found.understood = true;
    const bool has_index = bs.get_u8() != 0;
    const uint64_t index = bs.get_u64();
    if (has_index) found.index = index;
    return found;
}

void raft::on_read_index(const inputs::read_index& in) {
    take_read({in.number, nullptr, 0, 0});
}

void raft::take_read(waiting_read r) {
    if (role_ != srv_role::leader) return answer_read(r, std::nullopt);
    // Our first entry is as good as what is committed of earlier terms, of which we do not know all
    // before it is committed itself.
    const bool own_term_ignored = mutated(mutation::read_before_entry_of_own_term);
    r.index = std::max(commit_index_, own_term_ignored ? 0 : index_at_becoming_leader_);
    r.asked_at = next_send_;
    reads_.push_back(std::move(r));
    for (auto& [peer_id, p] : peers_) {
        // Reads that come before he has answered the ones before share the request after that.
        if (is_regular(*p.server) && sent_.count(p.sent_for_reads) == 0) try_send(p);
    }
}

bool raft::awaited_by_reads(const peer_progress& p) const {
    return !reads_.empty() && is_regular(*p.server) && p.last_append < reads_.back().asked_at;
}

void raft::note_leadership_confirmed(peer_progress& p, const sent_request& was, uint64_t number,
                                     uint64_t term) {
    // Only these answers carry the term that the other one was in when the request came.
    const bool tells = was.type == msg_type::append_entries_request ||
                       was.type == msg_type::install_snapshot_request;
    if (role_ == srv_role::leader && tells && term == state_.term) {
        p.confirmed = std::max(p.confirmed, number);
    }
}

int32_t raft::read_quorum_among(int32_t voters) const {
    if (quorum_is_adjusted()) return adjusted_quorum_size;
    // It must meet the quorums of elections, whatever size the program wants these to have.
    return std::max(quorum_of(voters, 0), voters - election_quorum_among(voters) + 1);
}

bool raft::is_confirmed_since(uint64_t asked_at) const {
    if (mutated(mutation::read_not_confirmed)) return true;
    if (mutated(mutation::read_confirmed_by_earlier_answer)) asked_at = 1;
    for (const cluster_config* config : decisive_configs()) {
        int32_t count = 0;
        for (const ptr<srv_config>& server : config->get_servers()) {
            if (!is_regular(*server)) continue;
            const peer_progress* p = find_peer(server->get_id());
            count += server->get_id() == id() || (p && p->confirmed >= asked_at) ? 1 : 0;
        }
        if (count < read_quorum_among(voters_of(*config))) return false;
    }
    return true;
}

void raft::answer_reads() {
    while (!reads_.empty() && commit_index_ >= reads_.front().index &&
           is_confirmed_since(reads_.front().asked_at)) {
        answer_read(reads_.front(), reads_.front().index);
        reads_.pop_front();
    }
}

void raft::refuse_reads() {
    for (const waiting_read& r : reads_) answer_read(r, std::nullopt);
    reads_.clear();
}

void raft::answer_read(const waiting_read& r, const std::optional<uint64_t>& index) {
    if (!r.request) {
        out_->read_answers.push_back({r.number, index});
        return;
    }
    ptr<resp_msg> resp = make_response(*r.request, msg_type::custom_notification_response,
                                       next_slot_for(*r.request), true);
    resp->set_ctx(read_index_context(index));
    answer_now(r.number, resp);
}

}  // namespace protocol
}  // namespace nuraft
