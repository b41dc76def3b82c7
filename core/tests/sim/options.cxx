#include "options.hxx"

#include <sstream>

#include "dice.hxx"

namespace sim {

namespace {

template <typename T, size_t n>
T one_of(dice& d, const T (&choices)[n]) {
    return choices[d.below(n)];
}

void draw_params(dice& d, nuraft::raft_params& p) {
    const int32_t heartbeats[] = {50, 100, 125};
    p.heart_beat_interval_ = one_of(d, heartbeats);
    p.election_timeout_lower_bound_ = p.heart_beat_interval_ * 2;
    p.election_timeout_upper_bound_ = p.heart_beat_interval_ * 4;
    p.rpc_failure_backoff_ = 50;
    const int32_t batch_sizes[] = {1, 3, 10, 100};
    p.max_append_size_ = one_of(d, batch_sizes);
    const int32_t windows[] = {0, 0, 4, 20, 200};
    p.max_log_gap_in_stream_ = one_of(d, windows);
    const int64_t byte_windows[] = {0, 0, 100};
    p.max_bytes_in_flight_in_stream_ = one_of(d, byte_windows);
    const int32_t distances[] = {0, 5, 20, 60};
    p.snapshot_distance_ = one_of(d, distances);
    const int32_t reserved[] = {0, 3, 15};
    p.reserved_log_items_ = one_of(d, reserved);
    const int32_t stop_gaps[] = {0, 1, 10, 99999};
    p.log_sync_stop_gap_ = one_of(d, stop_gaps);
    p.log_sync_batch_size_ = 4;
    p.use_new_joiner_type_ = d.chance(3000);
    p.leadership_expiry_ = d.chance(2000) ? -1 : 0;
    p.leadership_transfer_min_wait_time_ = d.chance(3000) ? 500 : 0;
    p.stale_log_gap_ = 30;
    p.fresh_log_gap_ = 10;
    p.priority_decay_method_ =
        d.coin() ? nuraft::raft_params::arithmetic_decay : nuraft::raft_params::tiered_decay;
    p.parallel_log_appending_ = true;
    p.return_method_ = nuraft::raft_params::async_handler;
}

void draw_modes(dice& d, nuraft::raft_params& p) {
    p.use_full_consensus_among_healthy_members_ = d.chance(2000);
    p.track_peers_sm_commit_idx_ = d.chance(2000);
    p.wait_for_sm_catchup_on_becoming_leader_ = d.chance(3000);
    p.grace_period_of_lagging_state_machine_ = d.chance(2000) ? 400 : 0;
}

void draw_speeds(dice& d, options& o) {
    const time_us delays[] = {1 * ms, 5 * ms, 30 * ms};
    o.network_delay = one_of(d, delays);
    const time_us store_delays[] = {0, 0, 2 * ms, 20 * ms};
    o.store_delay = one_of(d, store_delays);
    const time_us sync_delays[] = {0, 2 * ms, 10 * ms, 60 * ms};
    o.sync_delay = one_of(d, sync_delays);
    const time_us apply_delays[] = {1 * ms, 1 * ms, 20 * ms};
    o.apply_delay = one_of(d, apply_delays);
    const time_us intervals[] = {10 * ms, 40 * ms, 150 * ms};
    o.propose_every = one_of(d, intervals);
    o.snapshot_objects = 1 + d.below(5);
    o.machine_is_durable = d.chance(3000);
}

void draw_faults(dice& d, options& o) {
    const int32_t losses[] = {0, 20, 100, 400};
    o.loss = one_of(d, losses);
    o.black_holes = d.coin() ? 0 : 2000;
    o.declines = d.chance(2000) ? 200 : 0;
    o.read_failures = d.chance(3000) ? 1000 : 0;
    o.kept_back = d.chance(1500) ? 50 : 0;
    o.commit_pins = d.chance(1500) ? 2000 : 0;
    o.size_hints = d.chance(2000);
    o.expected_terms = 500;
    o.crashes = d.chance(8000);
    o.partitions = d.chance(7000);
    o.stalls = d.coin();
    o.slow_disks = d.coin();
    o.disk_failures = d.chance(2000);
    o.membership = d.chance(7000);
    o.handover = d.coin();
    o.priorities = d.chance(3000);
    o.settings_change = d.chance(3000);
    o.clock_skew_per_1000 = d.coin() ? 0 : 100;
    o.absorb = d.chance(3000);
    const int32_t spikes[] = {0, 0, 20, 100};
    o.spikes = one_of(d, spikes);
    const int32_t duplicates[] = {0, 0, 50, 300};
    o.duplicates = one_of(d, duplicates);
}

/// One seed in four is about something that the even mixture rarely brings together.
void draw_theme(dice& d, options& o) {
    switch (d.below(16)) {
        case 0:  // A deposed leader with a long tail of its own meets compacted logs.
            o.partitions = true;
            o.isolations = 9000;
            o.params.leadership_expiry_ = -1;
            o.params.snapshot_distance_ = 5;
            o.params.reserved_log_items_ = 0;
            o.propose_every = 5 * ms;
            break;
        case 1:  // Few servers that come and go while others fail.
            o.initial_servers = static_cast<int32_t>(d.between(2, 4));
            o.membership = o.crashes = o.partitions = true;
            o.params.use_new_joiner_type_ = false;
            o.params.log_sync_stop_gap_ = 0;
            o.fault_every = 100 * ms;
            break;
        case 2:  // Answers outlive the leadership that asked.
            o.spikes = 1000;
            o.handover = o.partitions = true;
            o.params.leadership_expiry_ = -1;
            o.fault_every = 100 * ms;
            break;
        case 3:  // Crashes in the middle of everything, on slow disks.
            o.crashes = o.slow_disks = o.membership = true;
            o.sync_delay = 60 * ms;
            o.fault_every = 100 * ms;
            break;
        default:
            break;
    }
}

/// Drawn last, so that the seeds of before mean what they meant.
void draw_quorums(dice& d, options& o) {
    o.params.exclude_snp_receiver_from_quorum_ = d.chance(1500);
    const bool adjust = d.coin();
    if (!adjust || o.initial_servers != 2) return;
    o.params.auto_adjust_quorum_for_small_cluster_ = true;
    // One of two is no quorum that those of three would meet.
    o.membership = false;
}

bool listed(const std::string& list, const std::string& name) {
    std::istringstream words(list);
    for (std::string word; std::getline(words, word, ',');) {
        if (word == name) return true;
    }
    return false;
}

void leave_out(options& o, const std::string& without) {
    auto number = [&](const char* name, auto& value) {
        if (listed(without, name)) value = 0;
    };
    auto flag = [&](const char* name, bool& value) {
        if (listed(without, name)) value = false;
    };
    number("loss", o.loss);
    number("spike", o.spikes);
    number("duplicate", o.duplicates);
    number("decline", o.declines);
    number("read", o.read_failures);
    number("kept", o.kept_back);
    number("pin", o.commit_pins);
    number("skew", o.clock_skew_per_1000);
    number("snapshot", o.params.snapshot_distance_);
    number("stream", o.params.max_log_gap_in_stream_);
    flag("consensus", o.params.use_full_consensus_among_healthy_members_);
    flag("hint", o.size_hints);
    flag("crash", o.crashes);
    flag("partition", o.partitions);
    flag("stall", o.stalls);
    flag("slow", o.slow_disks);
    flag("diskfail", o.disk_failures);
    flag("membership", o.membership);
    flag("handover", o.handover);
    flag("priority", o.priorities);
    flag("settings", o.settings_change);
    flag("absorb", o.absorb);
    flag("receiver", o.params.exclude_snp_receiver_from_quorum_);
    flag("alone", o.params.auto_adjust_quorum_for_small_cluster_);
}

}  // namespace

options options::draw(uint64_t seed, const std::string& without) {
    dice d(seed * 0x9e3779b97f4a7c15ull + 1);
    options o;
    o.seed = seed;
    const int32_t sizes[] = {1, 2, 3, 3, 3, 4, 5, 5, 6, 7};
    o.initial_servers = one_of(d, sizes);
    draw_params(d, o.params);
    draw_speeds(d, o);
    draw_faults(d, o);
    o.chaos = d.between(4000, 12000) * ms;
    o.patience = 300000 * ms;
    draw_modes(d, o.params);
    if (d.chance(2000)) o.term_steps = 3;
    draw_theme(d, o);
    draw_quorums(d, o);
    leave_out(o, without);
    return o;
}

options options::quiet(uint64_t seed, int32_t servers) {
    options o;
    o.seed = seed;
    o.initial_servers = servers;
    o.params.heart_beat_interval_ = 50;
    o.params.election_timeout_lower_bound_ = 100;
    o.params.election_timeout_upper_bound_ = 200;
    o.params.parallel_log_appending_ = true;
    o.params.reserved_log_items_ = 0;
    o.network_delay = 2 * ms;
    o.sync_delay = 2 * ms;
    o.apply_delay = 1 * ms;
    o.crashes = o.partitions = o.stalls = o.slow_disks = o.membership = o.handover = false;
    o.patience = 60000 * ms;
    return o;
}

std::string options::describe() const {
    std::ostringstream s;
    s << "servers " << initial_servers << ", heartbeat " << params.heart_beat_interval_
      << " ms, append size " << params.max_append_size_ << ", stream "
      << params.max_log_gap_in_stream_ << "/" << params.max_bytes_in_flight_in_stream_
      << ", snapshot " << params.snapshot_distance_ << " keeping " << params.reserved_log_items_
      << " in " << snapshot_objects << " objects, stop gap " << params.log_sync_stop_gap_
      << (params.use_new_joiner_type_ ? ", new joiners" : "")
      << (params.use_full_consensus_among_healthy_members_ ? ", full consensus" : "")
      << (params.exclude_snp_receiver_from_quorum_ ? ", receivers left out" : "")
      << (params.auto_adjust_quorum_for_small_cluster_ ? ", alone if need be" : "")
      << (params.track_peers_sm_commit_idx_ ? ", tracking" : "")
      << (params.wait_for_sm_catchup_on_becoming_leader_ ? ", leaders wait" : "") << ", grace "
      << params.grace_period_of_lagging_state_machine_ << ", term steps " << term_steps
      << ", expiry " << params.leadership_expiry_ << ", network " << network_delay << " us, store "
      << store_delay << ", sync " << sync_delay << ", apply " << apply_delay << ", proposals every "
      << propose_every << ", chaos " << chaos / ms << " ms; loss " << loss << "/" << black_holes
      << ", spikes " << spikes << ", duplicates " << duplicates << ", declines " << declines
      << ", read failures " << read_failures << ", kept back " << kept_back << ", pins "
      << commit_pins << ", skew " << clock_skew_per_1000
      << (machine_is_durable ? ", durable machine" : "") << (size_hints ? ", hints" : "")
      << (crashes ? ", crashes" : "") << (partitions ? ", partitions" : "")
      << (stalls ? ", stalls" : "") << (slow_disks ? ", slow disks" : "")
      << (disk_failures ? ", disk failures" : "") << (membership ? ", membership" : "")
      << (handover ? ", handover" : "") << (priorities ? ", priorities" : "")
      << (settings_change ? ", settings" : "") << (absorb ? ", absorb" : "");
    return s.str();
}

}  // namespace sim
