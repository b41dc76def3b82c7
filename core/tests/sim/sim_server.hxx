#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "checker.hxx"
#include "disk.hxx"
#include "event_queue.hxx"
#include "network.hxx"
#include "protocol/raft.hxx"
#include "violation.hxx"

namespace sim {

class cluster;

/// What a client asked for, followed over all its attempts.
struct operation {
    uint64_t number = 0;
    std::vector<uint64_t> hashes;  ///< Content of its entries.
    std::vector<std::string> payloads;
    int32_t attempts = 0;
    bool acknowledged = false;
};

/// One server: the protocol, a disk, a state machine and timers. Carries out the effects of each
/// step in the order of their fields, as the real server does, in virtual time.
class sim_server {
public:
    sim_server(cluster& world, int32_t id, const nuraft::ptr<nuraft::cluster_config>& config,
               bool outsider, bool skip_election_timer);

    int32_t id() const { return id_; }
    bool running() const { return node_ != nullptr; }
    /// Counts incarnations; what was meant for an earlier one is dropped.
    uint64_t life() const { return life_; }
    nuraft::protocol::raft& node() { return *node_; }
    const nuraft::protocol::raft& node() const { return *node_; }
    class disk& disk() {
        return disk_;
    }
    const class disk& disk() const { return disk_; }
    const machine_state& machine() const { return machine_; }
    /// Never a member so far, so that what it commits is its own affair.
    bool outsider() const { return outsider_; }
    /// It said so, and was not admitted again since.
    bool told_of_removal() const { return told_of_removal_; }
    /// A snapshot is half installed: the state is new, the log is not.
    bool installing() const { return installing_; }
    /// A snapshot is being sent, and its context was not freed yet.
    bool holds_transfer() const;

    void boot();
    void crash();
    /// Loses power in the middle of carrying out the effects of its next step.
    void crash_in_next_step();
    /// Tells the protocol, which has to let go of everything, then powers off.
    void stop();
    /// Freezes for a while, as a process that is not scheduled; nothing is lost.
    void stall(time_us duration);
    time_us stalled_for() const;
    /// Since the end of the last stall; of all time if there was none in this life.
    time_us awake_for() const;
    nuraft::protocol::time_ms local_time() const;
    void set_disk_slowness(int32_t factor) { slowness_ = factor; }
    /// No fault is pending any more; one that a restart has to cure is cured.
    void calm();
    /// A log write fails; the server goes down soon after.
    void fail_disk();

    /// One input now.
    void input(const nuraft::protocol::input& in);
    /// The same, unless this is not life `life` any more; waits for the end of a stall.
    void post(uint64_t life, const nuraft::protocol::input& in);
    void receive(const network::handle& c, uint64_t number,
                 const nuraft::ptr<nuraft::req_msg>& msg);
    void propose(const std::shared_ptr<operation>& op);
    /// Asks for the index of a linearizable read; its number.
    uint64_t ask_read();
    /// Answered with an index.
    bool has_read(uint64_t number) const { return answered_reads_.count(number) > 0; }
    bool awaits_read(uint64_t number) const { return reads_.count(number) > 0; }
    void change_params(const nuraft::raft_params& params);

    uint64_t next_number() { return ++next_number_; }
    bool quiet() const { return !disk_.has_queued() && !disk_.has_unsynced(); }

private:
    struct waiter {
        std::shared_ptr<operation> op;
        uint64_t first;
        uint64_t last;
        uint64_t term;
    };

    /// In this life, and not during a stall.
    void later_do(time_us delay, std::function<void()> what);
    time_us from_local(int32_t delay_ms) const;

    void execute(const checker::before& was, nuraft::protocol::effects& out);
    void save(nuraft::protocol::effects& out);
    void deliver_answers(const nuraft::protocol::effects& out);
    void deliver_reads(const nuraft::protocol::effects& out);
    void heed_notices(const nuraft::protocol::effects& out);
    void write(const nuraft::protocol::log_write& w);
    void store_some();
    void sync_some();
    void set_timer(const nuraft::protocol::timer_change& t);
    void send(const nuraft::protocol::effects& out);
    void reply(const nuraft::protocol::reply& r);
    void read(const nuraft::protocol::read_object& r);
    void save_object(const nuraft::protocol::save_object& s);
    void install(const nuraft::protocol::save_object& s, const machine_state& state);
    void install_pack(const nuraft::protocol::install_pack& p);
    void answer_question(const nuraft::protocol::commit_question& q);
    void consider_going_on_alone();
    void schedule_store();
    void schedule_sync();
    void schedule_apply();
    void apply_some();
    bool apply_next();
    void complete_waiter(uint64_t index);
    void cancel_waiters();
    void maybe_create_snapshot(bool wanted = false);
    void finish_snapshot(const snapshot_image& image);
    void power_off();

    cluster& world_;
    const int32_t id_;
    const bool skip_election_timer_;
    class disk disk_;
    std::unique_ptr<nuraft::protocol::raft> node_;
    nuraft::raft_params params_;
    uint64_t life_ = 0;
    bool outsider_;
    int64_t clock_offset_ms_;
    int64_t clock_rate_per_1000_;  ///< Local milliseconds in 1000 true ones.

    machine_state machine_;
    uint64_t may_apply_ = 0;
    uint64_t told_applied_ = 0;  ///< What the protocol knows of the machine.
    bool apply_scheduled_ = false;
    bool installing_ = false;
    bool creating_snapshot_ = false;
    bool replicate_scheduled_ = false;
    bool sync_scheduled_ = false;
    bool store_scheduled_ = false;
    bool disk_failed_ = false;
    int32_t slowness_ = 1;
    time_us stalled_until_ = 0;
    int32_t crash_countdown_ = -1;  ///< Stages of effects still carried out; negative: all.

    std::map<std::pair<int, int32_t>, uint64_t> timers_;
    uint64_t next_timer_ = 0;
    uint64_t next_number_ = 0;
    struct incoming {
        network::handle connection;
        uint64_t number;
        bool would_accept;
        nuraft::msg_type type;
        uint64_t through;  ///< Of an append: its last entry, or the one before it.
        uint64_t through_term;
    };
    std::map<uint64_t, incoming> requests_;
    std::set<uint64_t> pending_;
    std::map<uint64_t, std::shared_ptr<operation>> proposals_;
    std::map<uint64_t, waiter> waiters_;
    std::map<uint64_t, uint64_t> reads_;  ///< Number to how much had been committed when it came.
    std::set<uint64_t> answered_reads_;
    bool told_of_removal_ = false;
    bool leads_ = false;                  ///< As its notices tell.
    uint64_t last_led_ = 0;               ///< Term.
    std::map<uint64_t, bool> transfers_;  ///< Number to whether it was freed.
    uint64_t receiving_snapshot_ = 0;     ///< Index of the snapshot that the objects belong to.
    std::vector<uint64_t> received_objects_;
};

}  // namespace sim
