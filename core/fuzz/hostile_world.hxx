#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "byte_source.hxx"
#include "protocol/raft.hxx"
#include "sim/disk.hxx"

namespace fuzz {

/// One server of the protocol on a simulated disk. Everything around it does what the bytes say.
/// Checks after every step what must hold whoever the peers are.
class hostile_world {
public:
    explicit hostile_world(byte_source& choices);
    /// Until the bytes are used up or the server halted.
    void run();

private:
    void boot();
    void restart();
    void act();

    // What happens to it, one function for each kind.
    void receive_frame();
    void receive_request();
    void receive(const nuraft::ptr<nuraft::req_msg>& msg);
    void receive_response();
    void lose_request();
    void let_timer_fire();
    void propose();
    void store_log();
    void sync_log();
    void finish_saving();
    void finish_reading();
    void finish_pack();
    void create_snapshot();
    void administer();

    nuraft::ptr<nuraft::log_entry> draw_entry(uint64_t term);
    nuraft::ptr<nuraft::cluster_config> draw_config();
    nuraft::ptr<nuraft::buffer> draw_payload();
    nuraft::ptr<nuraft::buffer> draw_context();
    nuraft::ptr<nuraft::buffer> draw_notification();
    nuraft::ptr<nuraft::buffer> draw_snapshot_object(uint64_t index, uint64_t term);

    void step(const nuraft::protocol::input& in);
    void execute(const nuraft::protocol::effects& out);
    void store_everything();
    void require_kept(const nuraft::protocol::hard_state& was, uint64_t commit, bool alone,
                      const nuraft::protocol::effects& out) const;
    bool contradicts_commit(const nuraft::protocol::input& in) const;

    byte_source& choices_;
    sim::dice dice_{1};
    nuraft::protocol::settings settings_;
    sim::disk disk_;
    std::unique_ptr<nuraft::protocol::raft> node_;
    nuraft::protocol::time_ms now_ = 1000;
    bool halted_ = false;
    uint64_t next_number_ = 0;

    std::set<uint64_t> unanswered_;                ///< Requests by others.
    std::deque<nuraft::protocol::outgoing> sent_;  ///< Requests by the server.
    std::deque<nuraft::protocol::save_object> saves_;
    std::deque<nuraft::protocol::read_object> reads_;
    std::deque<nuraft::protocol::install_pack> packs_;
    std::set<uint64_t> freed_transfers_;
};

}  // namespace fuzz
