#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "disk.hxx"
#include "peer_watch.hxx"
#include "protocol/raft.hxx"

namespace sim {

class cluster;
class sim_server;

/// Watches every step of every server and knows what was ever committed (behaviour 39; its numbers
/// are those in comments).
/// Throws `violation`.
class checker {
public:
    explicit checker(cluster& world) : world_(world), peers_(world) {}

    /// What a server was like before a step.
    struct before {
        nuraft::srv_role role;
        uint64_t term;
        uint64_t commit;
        uint64_t last;
        bool paused;
        bool adjusted;  ///< One of two voters goes on alone.
        nuraft::protocol::hard_state saved;
        nuraft::ptr<nuraft::cluster_config> config;
    };
    static before look(const sim_server& s);

    /// A server was built: what it holds must be what it had.
    void booted(sim_server& s);
    /// The step's effects, before any is carried out.
    void stepped(sim_server& s, const before& was, const nuraft::protocol::input& in,
                 const nuraft::protocol::effects& out);
    /// After the effects were carried out; what follows is called while they are.
    void executed(sim_server& s, const before& was, const nuraft::protocol::input& in);

    /// Nothing of what the step commits has left the server yet.
    void committing(sim_server& s, const before& was);
    void writing(sim_server& s, const nuraft::protocol::log_write& w);
    void sending(sim_server& s, const nuraft::protocol::outgoing& o);
    void replying(sim_server& s, nuraft::msg_type request, const nuraft::resp_msg& resp);
    void acknowledging(sim_server& s, uint64_t through, uint64_t term);
    void applied(sim_server& s, const machine_state& state);
    void acknowledged(uint64_t index, uint64_t hash);
    /// A read is answered with `index`; so much had been committed, by anybody, when it came.
    void read(const sim_server& s, uint64_t index, uint64_t committed) const;
    void idle(const sim_server& s) const { peers_.idle(s); }
    void saving_config(sim_server& s, const before& was, const nuraft::protocol::effects& out);

    /// Is everything that was ever committed in its log or snapshot?
    bool holds_all_committed(const sim_server& s) const;
    /// Number of entries that were ever committed.
    uint64_t committed() const { return committed_.size(); }

private:
    struct entry_fact {
        uint64_t hash;
        uint64_t previous_term;
    };
    struct committed_fact {
        uint64_t term;
        uint64_t hash;
        uint64_t committed_in;  ///< Term of the leader that committed it.
        uint64_t chain;         ///< State of a machine that applied everything up to here.
        nuraft::ptr<nuraft::cluster_config> config;  ///< Of a configuration entry.
    };

    void check_state(sim_server& s, const before& was, const nuraft::protocol::input& in,
                     const nuraft::protocol::effects& out);
    void check_leadership(sim_server& s, const before& was);
    void check_votes(sim_server& s, const nuraft::cluster_config& config) const;
    /// The first entry committed by a leader before this term that it does not have; 0: none.
    uint64_t first_lacking(const sim_server& s, uint64_t before_term) const;
    void check_matches(sim_server& s) const;
    void check_stepping_out(const sim_server& s, const before& was,
                            const nuraft::cluster_config& config) const;
    void check_change(const sim_server& s, const nuraft::protocol::log_write& w) const;
    void check_write(sim_server& s, const before& was, const nuraft::protocol::log_write& w);
    void commit_entry(sim_server& s, const before& was, uint64_t index);
    void check_quorum(sim_server& s, const before& was, uint64_t first, uint64_t last);
    bool durable_on_majority(const nuraft::cluster_config& config,
                             const nuraft::cluster_config* next, uint64_t index,
                             uint64_t term) const;
    bool durable_on(const sim_server& s, uint64_t index, uint64_t term) const;
    uint64_t term_before(const sim_server& s, uint64_t index) const;

    cluster& world_;
    peer_watch peers_;
    std::map<uint64_t, int32_t> leaders_;
    std::map<std::pair<int32_t, uint64_t>, int32_t> votes_;
    std::map<std::pair<uint64_t, uint64_t>, entry_fact> entries_;
    std::vector<committed_fact> committed_;  ///< Index 1 first.
};

}  // namespace sim
