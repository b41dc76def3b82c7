#include <algorithm>

#include "checker.hxx"
#include "cluster.hxx"
#include "configurations.hxx"

// What is committed, and by whom it has to be held.

namespace sim {

using namespace nuraft;

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
