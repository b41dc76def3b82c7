#pragma once

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "buffer_serializer.hxx"
#include "protocol/raft.hxx"
#include "snapshot_sync_req.hxx"

// One server of the protocol at a time, steps fed by hand, effects looked at. "§" in the tests
// means a section of the behaviour specification, "Raft" the paper.

namespace rules {

using namespace nuraft;
using namespace nuraft::protocol;

constexpr uint64_t all_ones = std::numeric_limits<uint64_t>::max();

inline ptr<buffer> bytes(const std::string& text) {
    ptr<buffer> b = buffer::alloc(text.size());
    b->put_raw(reinterpret_cast<const byte*>(text.data()), text.size());
    b->pos(0);
    return b;
}

inline ptr<log_entry> app(uint64_t term, const std::string& text = "x") {
    return cs_new<log_entry>(term, bytes(text));
}

inline std::string endpoint(int32_t id) {
    return "rules:" + std::to_string(id);
}

inline ptr<cluster_config> config_of(const std::vector<int32_t>& ids, uint64_t index = 0) {
    auto config = cs_new<cluster_config>(index);
    for (int32_t id : ids) config->get_servers().push_back(cs_new<srv_config>(id, endpoint(id)));
    return config;
}

inline ptr<log_entry> conf(uint64_t term, const ptr<cluster_config>& config) {
    return cs_new<log_entry>(term, config->serialize(), log_val_type::conf);
}

inline ptr<cluster_config> config_in(const ptr<log_entry>& entry) {
    ptr<buffer> payload = buffer::clone(entry->get_buf());
    return cluster_config::deserialize(*payload);
}

/// A log store in memory.
class memory_log : public log_view {
public:
    uint64_t first = 1;
    std::vector<ptr<log_entry>> held;

    uint64_t start_index() const override { return first; }
    uint64_t next_index() const override { return first + held.size(); }
    uint64_t term_at(uint64_t index) const override {
        return index < first || index >= next_index() ? 0 : held[index - first]->get_term();
    }
    ptr<std::vector<ptr<log_entry>>> entries(uint64_t from, uint64_t end,
                                             int64_t hint) const override {
        if (from < first || end > next_index()) return nullptr;
        auto found = cs_new<std::vector<ptr<log_entry>>>();
        int64_t size = 0;
        for (uint64_t i = from; i < end && hint >= 0; ++i) {
            found->push_back(held[i - first]);
            size += static_cast<int64_t>(held[i - first]->get_buf().size());
            if (hint > 0 && size >= hint) break;
        }
        return found;
    }
    ptr<buffer> pack(uint64_t from, int32_t count) const override {
        if (from < first || from + static_cast<uint64_t>(count) > next_index()) return nullptr;
        return bytes("pack of " + std::to_string(count) + " from " + std::to_string(from));
    }
    void write(const log_write& w) {
        held.resize(w.first - first);
        held.insert(held.end(), w.entries.begin(), w.entries.end());
    }
    void compact(uint64_t last) {
        while (first <= last && !held.empty()) {
            held.erase(held.begin());
            ++first;
        }
        first = std::max(first, last + 1);
    }
};

/// What the server of a test is made of; change what matters before it is built.
struct setup {
    int32_t id = 1;
    ptr<cluster_config> config = config_of({1, 2, 3});
    hard_state state;
    std::vector<uint64_t> terms;  ///< Terms of the entries 1, 2, ... in the log.
    std::map<uint64_t, ptr<cluster_config>> configs;  ///< Those of them that are configurations.
    uint64_t commit = 0;
    ptr<snapshot> last_snapshot;
    uint64_t log_start = 1;  ///< Entries before were compacted.
    raft_params params;
    rule_limits limits;

    setup() {
        params.heart_beat_interval_ = 100;
        params.election_timeout_lower_bound_ = 200;
        params.election_timeout_upper_bound_ = 400;
    }
    setup& with_log(std::vector<uint64_t> entry_terms) {
        terms = std::move(entry_terms);
        if (!terms.empty()) state.term = std::max(state.term, terms.back());
        return *this;
    }
    setup& in_term(uint64_t term, int32_t vote = -1) {
        state.term = term;
        state.voted_for = vote;
        return *this;
    }
    setup& with_stream(int32_t gap) {
        params.max_log_gap_in_stream_ = gap;
        return *this;
    }
};

class server {
public:
    explicit server(const setup& s = setup()) : settings_{s.id, s.params, s.limits} {
        log.first = s.log_start;
        for (uint64_t i = s.log_start; i <= s.terms.size(); ++i) {
            auto config = s.configs.find(i);
            log.held.push_back(config == s.configs.end() ? app(s.terms[i - 1], std::to_string(i))
                                                         : conf(s.terms[i - 1], config->second));
        }
        recovered from;
        from.state = s.state;
        from.config = s.config;
        from.last_snapshot = s.last_snapshot;
        from.commit_index = s.commit;
        core = std::make_unique<raft>(settings_, 1, log, from);
        step(inputs::start{});
    }

    memory_log log;
    std::unique_ptr<raft> core;
    effects out;  ///< Of the last step.
    time_ms now = 1000;
    uint64_t next_term = 0;  ///< Of the next candidacy; 0: the one that follows.

    const effects& step(const input& in) {
        out = effects();
        core->step(now, in, out);
        if (out.candidacy) {
            const uint64_t after = out.candidacy->current;
            out.candidacy.reset();
            core->step(now, inputs::term_answer{next_term ? next_term : after + 1}, out);
        }
        return out;
    }
    const effects& receive(const ptr<req_msg>& msg, bool declined = false) {
        inputs::request in;
        in.number = ++requests_;
        in.msg = msg;
        in.declined = declined;
        return step(in);
    }
    uint64_t last_request() const { return requests_; }
    /// What the last step answered to the last request; fails the test if that is not exactly one.
    resp_msg& reply() {
        EXPECT_EQ(out.replies.size(), 1u) << core->describe();
        if (out.replies.empty() || !out.replies.front().msg) {
            ADD_FAILURE() << "no answer: " << core->describe();
            out.replies = {{0, cs_new<resp_msg>(0, msg_type::ping_response, 0, 0)}};
        }
        return *out.replies.front().msg;
    }
    bool dropped() const { return out.replies.size() == 1 && !out.replies.front().msg; }

    /// Puts the last step's write into the log store and reports that; `out` keeps the rest.
    void store() {
        if (!out.write) return;
        effects kept = out;
        log.write(*kept.write);
        last_write_ = kept.write->number;
        step(inputs::log_stored{last_write_});
        kept.write.reset();
        out = kept;
    }
    /// Everything that was stored is on disk now.
    const effects& durable() {
        return step(inputs::log_durable{log.next_index() - 1, last_write_});
    }
    /// Both; and what the leader asks about it is answered.
    void persist() {
        store();
        durable();
        answer_question();
    }
    void answer_question() {
        while (out.question) step(inputs::commit_answer{out.question->expected});
    }

    /// Requests to `peer` in the last step.
    std::vector<outgoing> sent(int32_t peer) const {
        std::vector<outgoing> found;
        for (const outgoing& o : out.send) {
            if (o.peer == peer) found.push_back(o);
        }
        return found;
    }
    std::vector<outgoing> sent(msg_type type) const {
        std::vector<outgoing> found;
        for (const outgoing& o : out.send) {
            if (o.msg->get_type() == type) found.push_back(o);
        }
        return found;
    }
    /// The only request to `peer` in the last step; ends the test if there is another number.
    outgoing one_to(int32_t peer) const {
        const std::vector<outgoing> found = sent(peer);
        if (found.size() == 1) return found.front();
        throw std::logic_error(std::to_string(found.size()) + " requests to " +
                               std::to_string(peer) + " in place of one; " + core->describe());
    }
    bool noticed(notice::kind what) const {
        for (const notice& n : out.notices) {
            if (n.what == what) return true;
        }
        return false;
    }
    /// Delay that the last step armed a timer with; -1: it was cancelled, -2: not touched.
    int32_t armed(timer_kind kind, int32_t peer = -1) const {
        int32_t delay = -2;
        for (const timer_change& t : out.timers) {
            if (t.kind == kind && t.peer == peer) delay = t.delay_ms;
        }
        return delay;
    }

    /// The answer to `request` from the one it went to.
    const effects& answer(const outgoing& request, uint64_t term, uint64_t next, bool accepted,
                          ptr<buffer> ctx = nullptr) {
        const msg_type type = static_cast<msg_type>(request.msg->get_type() + 1);
        auto resp = cs_new<resp_msg>(term, type, request.peer, core->id(), next, accepted);
        resp->set_ctx(ctx);
        return step(inputs::response{request.number, resp});
    }
    /// An append is accepted to its end.
    const effects& accept(const outgoing& append) {
        req_msg& msg = *append.msg;
        return answer(append, msg.get_term(), msg.get_last_log_idx() + msg.log_entries().size() + 1,
                      true);
    }
    const effects& send_failed(const outgoing& request) {
        return step(inputs::send_failed{request.number, false});
    }

    const effects& election_timeout() {
        now += settings_.params.election_timeout_upper_bound_ + 1;
        return step(inputs::timer_fired{timer_kind::election, -1});
    }
    const effects& heartbeat(int32_t peer) {
        now += settings_.params.heart_beat_interval_;
        return step(inputs::timer_fired{timer_kind::heartbeat, peer});
    }
    /// Times out, wins the pre-vote and the vote. `out` is that of the step that made it leader.
    void become_leader() {
        election_timeout();
        const uint64_t asked_in = core->term();
        std::vector<outgoing> votes;
        for (const outgoing& o : sent(msg_type::pre_vote_request)) {
            answer(o, asked_in, 1, true);
            for (const outgoing& v : sent(msg_type::request_vote_request)) votes.push_back(v);
        }
        effects winning = out;
        for (const outgoing& o : votes) {
            const bool late = core->role() == srv_role::leader;
            answer(o, core->term(), 1, true);
            if (!late) winning = out;
        }
        out = winning;
        ASSERT_EQ(core->role(), srv_role::leader) << core->describe();
    }
    /// The same; then its first entry is on disk here and everywhere, and committed.
    void lead() {
        become_leader();
        const std::vector<outgoing> first = out.send;
        store();
        durable();
        settle(first);
        for (int32_t peer : other_members()) {
            heartbeat(peer);
            settle();
        }
        out = effects();
    }
    std::vector<int32_t> other_members() const {
        std::vector<int32_t> found;
        for (const ptr<srv_config>& member : core->config()->get_servers()) {
            if (member->get_id() != core->id()) found.push_back(member->get_id());
        }
        return found;
    }
    /// Accepts `open`, what the last step sent and all that follows, until nothing more is sent.
    void settle(std::vector<outgoing> open = {}) {
        open.insert(open.end(), out.send.begin(), out.send.end());
        for (int steps = 0; steps < 200; ++steps) {
            while (out.question) {
                step(inputs::commit_answer{out.question->expected});
                open.insert(open.end(), out.send.begin(), out.send.end());
            }
            if (open.empty()) return;
            const outgoing next = open.front();
            open.erase(open.begin());
            out = effects();
            if (next.msg->get_type() != msg_type::append_entries_request) continue;
            accept(next);
            store();
            open.insert(open.end(), out.send.begin(), out.send.end());
        }
        ADD_FAILURE() << "the server does not stop sending";
    }
    /// The leader takes in one entry and stores it; `out` is that of the replicating step.
    void propose(const std::string& text = "x") {
        inputs::proposal p;
        p.number = ++proposals_;
        p.entries = {app(0, text)};
        step(p);
        ASSERT_EQ(out.answers.size(), 1u);
        ASSERT_TRUE(out.answers.front().accepted);
        store();
        if (out.replicate_wanted) step(inputs::replicate{});
    }

private:
    settings settings_;
    uint64_t requests_ = 0;
    uint64_t proposals_ = 0;
    uint64_t last_write_ = 0;
};

// Requests of others. Nobody but the tested server is real.

inline ptr<req_msg> append(uint64_t term, int32_t from, uint64_t prev, uint64_t prev_term,
                           uint64_t commit, const std::vector<ptr<log_entry>>& entries = {}) {
    auto msg =
        cs_new<req_msg>(term, msg_type::append_entries_request, from, 1, prev_term, prev, commit);
    msg->log_entries() = entries;
    return msg;
}

inline ptr<req_msg> vote(uint64_t term, int32_t from, uint64_t last, uint64_t last_term,
                         bool forced = false) {
    auto msg = cs_new<req_msg>(term, msg_type::request_vote_request, from, 1, last_term, last, 0);
    if (forced) {
        msg->log_entries().push_back(
            cs_new<log_entry>(0, bytes(std::string(1, '\0')), log_val_type::custom));
    }
    return msg;
}

inline ptr<req_msg> pre_vote(uint64_t term, int32_t from) {
    return cs_new<req_msg>(term, msg_type::pre_vote_request, from, 1, 0, 0, 0);
}

inline ptr<req_msg> install(uint64_t term, int32_t from, const ptr<snapshot>& meta, uint64_t object,
                            bool done, const std::string& data = "d") {
    auto msg = cs_new<req_msg>(term, msg_type::install_snapshot_request, from, 1,
                               meta->get_last_log_term(), meta->get_last_log_idx(),
                               meta->get_last_log_idx());
    snapshot_sync_req body(meta, object, bytes(data), done);
    msg->log_entries().push_back(
        cs_new<log_entry>(term, body.serialize(), log_val_type::snp_sync_req));
    return msg;
}

inline ptr<req_msg> notification(uint64_t term, int32_t from, uint8_t kind,
                                 const ptr<buffer>& body = nullptr) {
    auto msg = cs_new<req_msg>(term, msg_type::custom_notification_request, from, 1, 0, 0, 0);
    const uint32_t size = body ? static_cast<uint32_t>(body->size()) : 0;
    ptr<buffer> packed = buffer::alloc(6 + size);
    buffer_serializer bs(packed);
    bs.put_u8(0);
    bs.put_u8(kind);
    bs.put_u32(size);
    if (body) bs.put_raw(body->data_begin(), size);
    msg->log_entries().push_back(cs_new<log_entry>(0, packed, log_val_type::custom));
    return msg;
}

inline ptr<req_msg> join(uint64_t term, int32_t from, const ptr<cluster_config>& config) {
    auto msg = cs_new<req_msg>(term, msg_type::join_cluster_request, from, 1, 0, 0, 0);
    msg->log_entries().push_back(conf(term, config));
    return msg;
}

inline ptr<snapshot> snapshot_at(uint64_t index, uint64_t term,
                                 const ptr<cluster_config>& config = config_of({1, 2, 3})) {
    return cs_new<snapshot>(index, term, config);
}

}  // namespace rules
