#include "raft3d/server_setup.hxx"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "raft3d/src/ffi.rs.h"

namespace raft3d {

namespace {

/// Workers for the network, the timers and the answers of the other servers.
constexpr size_t worker_threads = 4;
/// Entries in one message to a follower, and entries sent to it but not yet acknowledged.
constexpr int entries_per_message = 500;
constexpr int entries_in_flight = 500;
/// Payload on its way to a follower, in bytes, above which the next entries wait for the answer:
/// any. So what is proposed meanwhile gathers in one message; one for each entry would cost the
/// sender and the receiver two to three times as much. Signs of life go out all the same.
constexpr int bytes_in_flight = 1;
/// Connections on which a follower passes proposals on; each carries one at a time.
constexpr int forwarding_connections = 64;
/// How long a follower waits for the leader's answer to a proposal, in milliseconds. Longer than
/// anybody waits for the answer to a request.
constexpr int forwarding_timeout_ms = 60'000;
/// A leader that heard from no majority for this many of its longest election timeouts resigns.
constexpr int leadership_expiry_timeouts = 4;
/// A snapshot transfer without progress for this long begins again, in milliseconds.
constexpr int snapshot_transfer_timeout_ms = 10'000;

bool asks_for_vote(int message) {
    return message == nuraft::msg_type::request_vote_request ||
           message == nuraft::msg_type::pre_vote_request;
}

}  // namespace

nuraft::raft_params params_of(const NodeOptions& options) {
    nuraft::raft_params params;
    params.with_election_timeout_lower(options.election_timeout_ms_min)
        .with_election_timeout_upper(options.election_timeout_ms_max)
        .with_hb_interval(options.heartbeat_ms)
        .with_snapshot_enabled(options.snapshot_distance)
        .with_reserved_log_items(options.reserved_entries)
        .with_max_append_size(entries_per_message)
        .with_auto_forwarding(true)
        .with_auto_forwarding_req_timeout(forwarding_timeout_ms)
        .with_leadership_expiry(leadership_expiry_timeouts * options.election_timeout_ms_max)
        .with_snapshot_sync_ctx_timeout(snapshot_transfer_timeout_ms);
    params.return_method_ = nuraft::raft_params::async_handler;
    params.auto_forwarding_max_connections_ = forwarding_connections;
    params.parallel_log_appending_ = options.parallel_log;
    params.max_log_gap_in_stream_ = entries_in_flight;
    params.max_bytes_in_flight_in_stream_ = bytes_in_flight;
    return params;
}

nuraft::asio_service::options transport_options() {
    nuraft::asio_service::options options;
    options.thread_pool_size_ = worker_threads;
    options.streaming_mode_ = true;
    return options;
}

nuraft::asio_service::options transport_options(rust::Box<Passports> passports) {
    using meta = nuraft::asio_service::meta_cb_params;
    const auto shared = std::make_shared<const rust::Box<Passports>>(std::move(passports));
    const auto admits = [shared](int from, bool asks_for_vote, const std::string& shown) {
        return (*shared)->admits(from, asks_for_vote,
                                 {reinterpret_cast<const uint8_t*>(shown.data()), shown.size()});
    };
    nuraft::asio_service::options options = transport_options();
    options.write_req_meta_ = [shared](const meta& request) {
        return std::string((*shared)->issue(request.dst_id_));
    };
    options.read_req_meta_ = [admits](const meta& request, const std::string& shown) {
        return admits(request.src_id_, asks_for_vote(request.msg_type_), shown);
    };
    // A response is described by its request: its sender is who was asked.
    options.write_resp_meta_ = [shared](const meta& request) {
        return std::string((*shared)->issue(request.src_id_));
    };
    options.read_resp_meta_ = [admits](const meta& request, const std::string& shown) {
        const bool vote = false;
        return admits(request.dst_id_, vote, shown);
    };
    return options;
}

}  // namespace raft3d
