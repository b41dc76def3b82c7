#include "checker.hxx"

#include <algorithm>

#include "cluster.hxx"

// Numbers in comments are those of behaviour 39.

namespace sim {

using namespace nuraft;

namespace {

bool is_voter(const srv_config& s) {
    return !s.is_learner() && !s.is_new_joiner();
}

/// Who is a member, and who of them votes.
std::map<int32_t, bool> members_of(const cluster_config& config) {
    std::map<int32_t, bool> found;
    for (const ptr<srv_config>& s : config.get_servers()) found[s->get_id()] = is_voter(*s);
    return found;
}

ptr<cluster_config> config_of(const log_entry& entry) {
    ptr<buffer> payload = buffer::clone(entry.get_buf());
    return cluster_config::deserialize(*payload);
}

}  // namespace

checker::before checker::look(const sim_server& s) {
    const protocol::raft& r = s.node();
    return {r.role(),           r.term(),          r.commit_index(),
            r.last_log_index(), r.writes_paused(), r.quorum_is_adjusted(),
            s.disk().state,     r.config()};
}

void checker::booted(sim_server& s) {
    const protocol::raft& r = s.node();
    if (r.state() != s.disk().state) fail("server ", s.id(), " starts with another term or vote");
    if (r.role() == srv_role::leader) fail("server ", s.id(), " starts as leader");
    if (r.commit_index() > std::max(s.disk().next_index() - 1, s.disk().snapshot_index())) {
        fail("server ", s.id(), " starts with commit ", r.commit_index(), " beyond its log");
    }
}

void checker::stepped(sim_server& s, const before& was, const protocol::input& in,
                      const protocol::effects& out) {
    check_state(s, was, in, out);
    if (auto* req = std::get_if<protocol::inputs::request>(&in)) {
        // 20: a pre-vote changes nothing that lasts.
        if (req->msg->get_type() == msg_type::pre_vote_request &&
            (s.node().term() != was.term || (out.save && *out.save != was.saved))) {
            fail("server ", s.id(), " changes its state because of a pre-vote");
        }
    }
    for (const protocol::outgoing& o : out.send) {
        if (o.msg->get_type() == msg_type::pre_vote_request && s.node().term() != was.term) {
            fail("server ", s.id(), " raises its term for a pre-vote");
        }
    }
    if (auto* p = std::get_if<protocol::inputs::proposal>(&in)) {
        if (out.answers.size() != 1 || out.answers.front().number != p->number) {
            fail("server ", s.id(), " gives ", out.answers.size(), " answers to a proposal");
        }
        // 21: no client entry while writes are paused.
        if (out.answers.front().accepted && (was.paused || was.role != srv_role::leader)) {
            fail("server ", s.id(), " accepts a proposal although it may not write");
        }
    }
    if (out.write) check_write(s, was, *out.write);
}

void checker::check_state(sim_server& s, const before& was, const protocol::input& in,
                          const protocol::effects& out) {
    const protocol::raft& r = s.node();
    // 2, except that an absorbed single server takes the term of its new cluster.
    if (r.term() < was.term && !(s.outsider() && out.save && out.save->catching_up)) {
        fail("term of server ", s.id(), " falls from ", was.term, " to ", r.term());
    }
    if (out.save && out.save->term == was.saved.term && was.saved.voted_for != -1 &&
        out.save->voted_for != was.saved.voted_for) {
        fail("server ", s.id(), " changes its vote in term ", was.saved.term);
    }
    if (out.save && was.saved.election_timer_allowed && !out.save->election_timer_allowed &&
        !s.told_of_removal() && !std::holds_alternative<protocol::inputs::start>(in)) {
        fail("server ", s.id(), " falls silent and was not removed");
    }
    const protocol::hard_state& durable = out.save ? *out.save : was.saved;
    if (durable != r.state()) {
        fail("server ", s.id(), " did not ask to save its state: ", r.describe());
    }
}

void checker::check_write(sim_server& s, const before& was, const protocol::log_write& w) {
    // 10, 13: what is committed is never taken back; no holes.
    if (w.first <= was.commit) {
        fail("server ", s.id(), " overwrites entry ", w.first, " below its commit ", was.commit);
    }
    if (w.first > was.last + 1) fail("server ", s.id(), " leaves a hole before ", w.first);
    // 6: a leader only appends.
    if (s.node().role() == srv_role::leader && w.first != was.last + 1) {
        fail("leader ", s.id(), " overwrites entry ", w.first, " of its own log");
    }
    if (s.node().role() == srv_role::leader) check_change(s, w);
    uint64_t previous = term_before(s, w.first);
    uint64_t index = w.first;
    for (const ptr<log_entry>& entry : w.entries) {
        const uint64_t term = entry->get_term();
        // 4
        if (term < previous) fail("terms fall at ", index, " in the log of server ", s.id());
        if (s.node().role() == srv_role::leader && term != s.node().term()) {
            fail("leader ", s.id(), " of term ", s.node().term(), " writes term ", term);
        }
        previous = term;
        ++index;
    }
}

void checker::check_change(const sim_server& s, const protocol::log_write& w) const {
    // 16: one change of members at a time.
    ptr<cluster_config> pending;
    for (uint64_t i = s.node().commit_index() + 1; i < w.first; ++i) {
        const disk::stored_entry* entry = s.disk().logical_at(i);
        if (entry && entry->entry->get_val_type() == log_val_type::conf) {
            pending = config_of(*entry->entry);
        }
    }
    uint64_t index = w.first;
    for (const ptr<log_entry>& entry : w.entries) {
        if (entry->get_val_type() == log_val_type::conf) {
            ptr<cluster_config> next = config_of(*entry);
            if (pending && members_of(*pending) != members_of(*next)) {
                fail("leader ", s.id(), " changes the members at ", index,
                     " although the change at ", pending->get_log_idx(), " is not committed");
            }
            if (index > s.node().commit_index()) pending = next;
        }
        ++index;
    }
}

void checker::writing(sim_server& s, const protocol::log_write& w) {
    if (s.outsider()) return;
    // 5: equal index and term mean equal content and equal predecessor, hence equal logs.
    uint64_t previous = term_before(s, w.first);
    uint64_t index = w.first;
    for (const ptr<log_entry>& entry : w.entries) {
        const entry_fact fact{content_hash(*entry), previous};
        auto [known, added] = entries_.insert({{index, entry->get_term()}, fact});
        if (!added && (known->second.hash != fact.hash ||
                       known->second.previous_term != fact.previous_term)) {
            fail("log matching: entry ", index, " of term ", entry->get_term(), " on server ",
                 s.id(), " differs from another server's");
        }
        previous = entry->get_term();
        ++index;
    }
}

uint64_t checker::term_before(const sim_server& s, uint64_t index) const {
    if (index <= 1) return 0;
    if (const disk::stored_entry* entry = s.disk().logical_at(index - 1)) return entry->term();
    ptr<snapshot> last = s.disk().last_snapshot();
    return last && last->get_last_log_idx() == index - 1 ? last->get_last_log_term() : 0;
}

void checker::executed(sim_server& s, const before& was, const protocol::input& in) {
    peers_.executed(s, in);
    check_leadership(s, was);
    if (std::holds_alternative<protocol::inputs::response>(in)) check_matches(s);
    const protocol::raft& r = s.node();
    // 8
    if (!s.installing() && s.machine().index > r.commit_index()) {
        fail("server ", s.id(), " applied ", s.machine().index, " but committed only ",
             r.commit_index());
    }
    // 17
    if (r.config()->get_log_idx() != s.disk().config->get_log_idx()) {
        fail("server ", s.id(), " uses configuration ", r.config()->get_log_idx(), " but saved ",
             s.disk().config->get_log_idx());
    }
    // 22
    if (r.role() != srv_role::leader && s.holds_transfer()) {
        fail("server ", s.id(), " leads no more and did not free a transfer");
    }
}

void checker::check_leadership(sim_server& s, const before& was) {
    const protocol::raft& r = s.node();
    if (r.role() != srv_role::leader || s.outsider()) return;
    // 1
    auto [known, added] = leaders_.insert({r.term(), s.id()});
    if (!added && known->second != s.id()) {
        fail("term ", r.term(), " has two leaders: ", known->second, " and ", s.id());
    }
    if (was.role == srv_role::leader && was.term == r.term()) return;
    if (was.adjusted) ++world_.count().elected_alone;
    check_votes(s, *was.config);
    // Raft 6: a removal in the log decides too.
    std::map<int32_t, bool> members = members_of(*was.config);
    for (uint64_t i = was.config->get_log_idx() + 1; i < r.index_at_becoming_leader(); ++i) {
        const disk::stored_entry* entry = s.disk().logical_at(i);
        if (!entry || entry->entry->get_val_type() != log_val_type::conf) continue;
        const ptr<cluster_config> config = config_of(*entry->entry);
        const std::map<int32_t, bool> then = members_of(*config);
        for (const auto& [id, votes] : members) {
            auto stays = then.find(id);
            if (votes && (stays == then.end() || !stays->second)) check_votes(s, *config);
        }
        members = then;
    }
    // 12: every leader has every entry that was committed in an earlier term.
    if (const uint64_t lacking = first_lacking(s, r.term())) {
        fail("leader ", s.id(), " of term ", r.term(), " lacks committed entry ", lacking);
    }
    if (s.disk().start_index() > committed_.size() + 1) {
        fail("leader ", s.id(), " starts at ", s.disk().start_index(), " beyond what is committed");
    }
    // 7: the first entry of a leader is a configuration of its term.
    const disk::stored_entry* first = s.disk().logical_at(r.index_at_becoming_leader());
    if (!first || first->term() != r.term() || first->entry->get_val_type() != log_val_type::conf) {
        fail("leader ", s.id(), " does not begin term ", r.term(), " with a configuration");
    }
}

uint64_t checker::first_lacking(const sim_server& s, uint64_t before_term) const {
    for (uint64_t i = s.disk().snapshot_index() + 1; i <= committed_.size(); ++i) {
        if (committed_[i - 1].committed_in >= before_term) break;
        const disk::stored_entry* entry = s.disk().logical_at(i);
        if (!entry || entry->term() != committed_[i - 1].term) return i;
    }
    return 0;
}

bool checker::holds_all_committed(const sim_server& s) const {
    return first_lacking(s, UINT64_MAX) == 0;
}

void checker::check_matches(sim_server& s) const {
    // 9, 15: what a leader believes to be on another server's disk is there, unless that one
    // follows a later leader by now.
    const protocol::raft& r = s.node();
    if (r.role() != srv_role::leader || s.outsider()) return;
    for (const protocol::peer_view& peer : r.peers(0)) {
        const disk::stored_entry* ours = s.disk().logical_at(peer.match);
        const sim_server& other = world_.server(peer.id);
        if (!ours || other.disk().state.term != r.term()) continue;
        if (durable_on(other, peer.match, ours->term())) continue;
        fail("leader ", s.id(), " believes that server ", peer.id, " holds entry ", peer.match,
             " of term ", ours->term());
    }
}

void checker::check_stepping_out(const sim_server& s, const before& was,
                                 const cluster_config& config) const {
    // A leader that is removed leads until a majority of the others goes on without it, or
    // another leader tells it.
    if (s.node().term() != was.term) return;
    std::map<int32_t, bool> members = members_of(config);
    if (was.role != srv_role::leader || members[s.id()] || !members_of(*was.config)[s.id()]) return;
    int32_t voters = 0;
    int32_t know = 0;
    for (const auto& [id, votes] : members) {
        voters += votes ? 1 : 0;
        const bool without = !members_of(*world_.server(id).disk().config)[s.id()];
        know += votes && without ? 1 : 0;
    }
    if (know <= voters / 2) {
        fail("leader ", s.id(), " steps out by configuration ", config.get_log_idx(), ", but only ",
             know, " of ", voters, " go on without it");
    }
}

void checker::check_votes(sim_server& s, const cluster_config& config) const {
    // 18, and Raft 5.2: the votes of a majority, granted in this term, and of voters only.
    int32_t voters = 0;
    int32_t granted = 0;
    for (const auto& [id, votes] : members_of(config)) {
        if (!votes) continue;
        ++voters;
        auto vote = votes_.find({id, s.node().term()});
        const bool own = id == s.id() && s.disk().state.voted_for == id;
        granted += own || (vote != votes_.end() && vote->second == s.id()) ? 1 : 0;
    }
    // One of two that goes on alone needs its own vote only (behaviour 20).
    const int32_t needed = s.node().quorum_is_adjusted() && voters == 2 ? 1 : voters / 2 + 1;
    if (granted < needed) {
        fail("server ", s.id(), " leads term ", s.node().term(), " by ", granted, " votes of ",
             voters);
    }
}

void checker::committing(sim_server& s, const before& was) {
    const protocol::raft& r = s.node();
    if (s.outsider()) return;
    const uint64_t end = std::max(r.last_log_index(), s.disk().snapshot_index());
    // 8, 10
    if (r.commit_index() > end) {
        fail("server ", s.id(), " commits ", r.commit_index(), " beyond its log: ", r.describe());
    }
    if (r.commit_index() < was.commit && !r.state().catching_up) {
        fail("commit of server ", s.id(), " falls from ", was.commit, " to ", r.commit_index());
    }
    if (r.commit_index() == was.commit) return;
    const uint64_t known = committed_.size();
    if (r.commit_index() > known) check_quorum(s, was, known + 1, r.commit_index());
    for (uint64_t i = was.commit + 1; i <= r.commit_index(); ++i) commit_entry(s, was, i);
}

void checker::commit_entry(sim_server& s, const before& was, uint64_t index) {
    const disk::stored_entry* entry = s.disk().logical_at(index);
    if (index <= committed_.size()) {
        const committed_fact& fact = committed_[index - 1];
        if (!entry) {
            if (index > s.disk().snapshot_index()) {
                fail("server ", s.id(), " commits entry ", index, " without having it");
            }
        } else if (entry->term() != fact.term || content_hash(*entry->entry) != fact.hash) {
            fail("server ", s.id(), " commits at ", index, " an entry of term ", entry->term(),
                 " although one of term ", fact.term, " is committed there");
        }
        return;
    }
    if (!entry) fail("server ", s.id(), " commits entry ", index, " without having it");
    committed_fact fact;
    fact.term = entry->term();
    fact.hash = content_hash(*entry->entry);
    fact.committed_in = was.role == srv_role::leader ? was.term : s.node().term();
    const uint64_t before_it = committed_.empty() ? 0 : committed_.back().chain;
    fact.chain = mix(mix(before_it, index), fact.hash);
    if (entry->entry->get_val_type() == log_val_type::conf) {
        fact.config = config_of(*entry->entry);
        if (fact.config->get_log_idx() != index) {
            fail("the configuration at ", index, " says that it is at ",
                 fact.config->get_log_idx());
        }
    }
    committed_.push_back(fact);
    ++world_.count().commits;
}

void checker::check_quorum(sim_server& s, const before& was, uint64_t first, uint64_t last) {
    // Only a leader finds out that something is committed; and only by an entry of its own term
    // that is durable on a majority of the voters (9, 15, 18; Raft 5.4.2).
    const protocol::raft& r = s.node();
    if (was.role != srv_role::leader && r.role() != srv_role::leader) {
        fail("server ", s.id(), " commits ", last, " before any leader: ", r.describe());
    }
    const disk::stored_entry* newest = s.disk().logical_at(last);
    const uint64_t term = was.role == srv_role::leader ? was.term : r.term();
    if (!newest || newest->term() != term) {
        fail("leader ", s.id(), " of term ", term, " commits ", last, " by an entry of term ",
             newest ? newest->term() : 0);
    }
    // Configurations that were in force, or came into force, during the step.
    std::vector<ptr<cluster_config>> configs{was.config};
    ptr<cluster_config> pending;
    const uint64_t active = std::min(was.config->get_log_idx() + 1, first);
    for (uint64_t i = active; i < s.disk().logical_next(); ++i) {
        const disk::stored_entry* entry = s.disk().logical_at(i);
        if (!entry || entry->entry->get_val_type() != log_val_type::conf) continue;
        pending = config_of(*entry->entry);
        if (i <= last) configs.push_back(pending);
    }
    if ((was.adjusted || r.quorum_is_adjusted()) && durable_on(s, last, term)) return;
    for (const ptr<cluster_config>& config : configs) {
        if (durable_on_majority(*config, nullptr, last, term)) return;
        if (pending && durable_on_majority(*config, pending.get(), last, term)) return;
    }
    fail("leader ", s.id(), " commits ", last, " of term ", term,
         " which is not durable on a majority of voters: ", r.describe());
}

bool checker::durable_on_majority(const cluster_config& config, const cluster_config* next,
                                  uint64_t index, uint64_t term) const {
    int32_t voters = 0;
    int32_t holders = 0;
    for (const ptr<srv_config>& member : const_cast<cluster_config&>(config).get_servers()) {
        if (!is_voter(*member)) continue;
        // A server that is being removed does not count any more.
        if (next && !next->get_server(member->get_id())) continue;
        ++voters;
        if (durable_on(world_.server(member->get_id()), index, term)) ++holders;
    }
    // Without receivers of snapshots half of an even number is enough (behaviour 15.1); that no
    // later leader lacks the entry is what counts then (12).
    const bool fewer = world_.opts().params.exclude_snp_receiver_from_quorum_;
    return holders > voters / 2 || (fewer && 2 * holders == voters);
}

bool checker::durable_on(const sim_server& s, uint64_t index, uint64_t term) const {
    if (index <= s.disk().snapshot_index()) return true;
    const disk::stored_entry* entry = s.disk().durable_at(index);
    return entry && entry->term() == term;
}

void checker::sending(sim_server& s, const protocol::outgoing& o) {
    peers_.sending(s, o);
    req_msg& msg = *o.msg;
    const protocol::hard_state& durable = s.disk().state;
    if (msg.get_term() != durable.term) {
        fail("server ", s.id(), " sends term ", msg.get_term(), " but saved ", durable.term);
    }
    if (msg.get_dst() != o.peer || msg.get_src() != s.id()) {
        fail("server ", s.id(), " misaddresses a message to ", msg.get_dst());
    }
    if (msg.get_type() == msg_type::request_vote_request) {
        // 3, 19
        if (durable.voted_for != s.id()) {
            fail("server ", s.id(), " asks for votes without having saved its own");
        }
        if (durable.catching_up || durable.receiving_snapshot) {
            fail("server ", s.id(), " asks for votes while it is not up to date");
        }
        auto [vote, added] = votes_.insert({{s.id(), durable.term}, s.id()});
        if (!added && vote->second != s.id()) {
            fail("server ", s.id(), " votes for itself and for ", vote->second, " in term ",
                 durable.term);
        }
    }
    const bool append = msg.get_type() == msg_type::append_entries_request;
    const network::connection* c = world_.net().open_connection(s.id(), o.peer);
    if (!c) return;
    const raft_params& params = world_.opts().params;
    if (params.max_log_gap_in_stream_ <= 0 || !append) {
        // 26: one ordinary request at a time.
        for (const network::connection::request& r : c->unanswered) {
            const bool streamed = params.max_log_gap_in_stream_ > 0 &&
                                  r.msg->get_type() == msg_type::append_entries_request;
            if (streamed) continue;
            fail("server ", s.id(), " has two requests to ", o.peer, " in flight");
        }
    } else if (!c->unanswered.empty()) {
        ++world_.count().streamed;
    }
    if (append && s.node().role() != srv_role::leader) {
        fail("server ", s.id(), " sends entries and is not leader");
    }
}

void checker::replying(sim_server& s, msg_type request, const resp_msg& resp) {
    const protocol::hard_state& durable = s.disk().state;
    if (request == msg_type::request_vote_request && resp.get_accepted()) {
        // 3
        if (durable.term != resp.get_term() || durable.voted_for != resp.get_dst()) {
            fail("server ", s.id(), " grants its vote before it is saved");
        }
        auto [vote, added] = votes_.insert({{s.id(), durable.term}, resp.get_dst()});
        if (!added && vote->second != resp.get_dst()) {
            fail("server ", s.id(), " votes for ", vote->second, " and ", resp.get_dst(),
                 " in term ", durable.term);
        }
    }
    if (request == msg_type::append_entries_request && resp.get_accepted()) {
        // 15
        const uint64_t through = resp.get_next_idx() - 1;
        const uint64_t durable_through =
            std::max(s.disk().durable_index(), s.disk().snapshot_index());
        if (through > durable_through) {
            fail("server ", s.id(), " acknowledges ", through, " but only ", durable_through,
                 " is durable");
        }
    }
    // These carry the requester's term, and a join's answer the term from before (wire 3.9).
    const bool other_term = request == msg_type::pre_vote_request ||
                            request == msg_type::priority_change_request ||
                            request == msg_type::join_cluster_request;
    if (resp.get_term() > durable.term && !other_term) {
        fail("server ", s.id(), " answers with term ", resp.get_term(), " but saved ",
             durable.term);
    }
}

void checker::acknowledging(sim_server& s, uint64_t through, uint64_t term) {
    // 15: what it vouches for is the leader's entry.
    const disk::stored_entry* entry = s.disk().durable_at(through);
    if (entry && term != 0 && entry->term() != term) {
        fail("server ", s.id(), " acknowledges entry ", through, " of term ", term,
             " but holds one of term ", entry->term());
    }
}

void checker::applied(sim_server& s, const machine_state& state) {
    if (s.outsider()) return;
    if (state.index > committed_.size()) {
        fail("server ", s.id(), " applies ", state.index, " which was never committed");
    }
    if (state.hash != committed_[state.index - 1].chain) {
        fail("state of server ", s.id(), " at ", state.index, " differs from the others'");
    }
}

void checker::acknowledged(uint64_t index, uint64_t hash) {
    // 25: a client that was told OK finds its own content there.
    if (index > committed_.size() || committed_[index - 1].hash != hash) {
        fail("a client was told that its entry is at ", index, ", where another one is");
    }
}

void checker::read(const sim_server& s, uint64_t index, uint64_t committed) const {
    // A read sees every write acknowledged before it came; here even every committed one.
    if (index < committed) {
        fail("server ", s.id(), " answers a read at ", index, " although ", committed,
             " was committed before it came");
    }
    if (index > s.node().commit_index()) {
        fail("server ", s.id(), " answers a read at ", index, " which is not committed");
    }
}

void checker::saving_config(sim_server& s, const before& was, const protocol::effects& out) {
    const cluster_config& config = *out.save_config;
    // 17: saved configurations are committed ones, and move forward.
    if (s.disk().state.catching_up || s.outsider()) return;
    // A leader that loses power right after this knows the commit from the saved configuration.
    const bool led = was.role == srv_role::leader && !out.write;
    if (led || s.node().role() == srv_role::leader) committing(s, was);
    const uint64_t index = config.get_log_idx();
    if (index <= s.disk().config->get_log_idx()) {
        fail("server ", s.id(), " saves configuration ", index, " after ",
             s.disk().config->get_log_idx());
    }
    if (index > committed_.size()) {
        fail("server ", s.id(), " saves configuration ", index, " before it is committed");
    }
    check_stepping_out(s, was, config);
    const ptr<cluster_config> known = committed_[index - 1].config;
    if (!known || members_of(*known) != members_of(config)) {
        fail("server ", s.id(), " saves another configuration ", index, " than the committed one");
    }
}

}  // namespace sim
