#include "checker.hxx"
#include "configurations.hxx"
#include "sim_server.hxx"

// What is written to the logs.

namespace sim {

using namespace nuraft;

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

}  // namespace sim
