#include "raft3d/node.hxx"

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "raft3d/bytes.hxx"
#include "raft3d/durable_log.hxx"
#include "raft3d/durable_state.hxx"
#include "raft3d/fsm.hxx"
#include "raft3d/proposer.hxx"
#include "raft3d/server_setup.hxx"
#include "raft3d/src/ffi.rs.h"
#include "raft3d/tls_credentials.hxx"
#include "raft3d/tracing_logger.hxx"

// Only the core of this repository has it.
#if __has_include(<libnuraft/read_index.hxx>)
#include <libnuraft/read_index.hxx>
#define RAFT3D_CORE_READS
#endif

namespace raft3d {

using nuraft::ptr;

namespace {

ChangeVerdict verdict_of(nuraft::cmd_result_code code) {
    switch (code) {
        case nuraft::cmd_result_code::OK:
        // The answer is on its way from a server that leads by now: whether it took the change
        // shows in the configuration.
        case nuraft::cmd_result_code::RESULT_NOT_EXIST_YET:
            return ChangeVerdict::Started;
        case nuraft::cmd_result_code::NOT_LEADER:
            return ChangeVerdict::NotLeader;
        case nuraft::cmd_result_code::SERVER_ALREADY_EXISTS:
            return ChangeVerdict::Exists;
        case nuraft::cmd_result_code::SERVER_NOT_FOUND:
            return ChangeVerdict::NotFound;
        case nuraft::cmd_result_code::CONFIG_CHANGING:
        case nuraft::cmd_result_code::SERVER_IS_JOINING:
        case nuraft::cmd_result_code::SERVER_IS_LEAVING:
            return ChangeVerdict::Busy;
        default:
            return ChangeVerdict::Forbidden;
    }
}

ChangeVerdict verdict_of(const proposal_result& result) {
    return verdict_of(result.get_result_code());
}

/// Waits for its cluster if it is new there, and tells the Rust side of its coming and going and of
/// its leaders.
nuraft::raft_server::init_options init_options_of(
    const NodeOptions& options, const ptr<durable_state>& state,
    const std::shared_ptr<const proposer>& answering) {
    nuraft::raft_server::init_options init;
    init.skip_initial_election_timeout_ = options.joining;
    // The server keeps what it answers proposals through.
    init.raft_callback_ = [state, answering](nuraft::cb_func::Type type,
                                             nuraft::cb_func::Param* param) {
        switch (type) {
            case nuraft::cb_func::JoinedCluster:
                state->joined();
                break;
            case nuraft::cb_func::RemovedFromCluster:
                state->removed();
                break;
            case nuraft::cb_func::BecomeLeader:
                state->leader_seen(*static_cast<nuraft::ulong*>(param->ctx), true);
                break;
            case nuraft::cb_func::GotAppendEntryReqFromLeader:
                state->leader_seen(static_cast<nuraft::req_msg*>(param->ctx)->get_term(), false);
                break;
            default:
                break;
        }
        return nuraft::cb_func::Ok;
    };
    return init;
}

}  // namespace

node::node(const NodeOptions& options, Program program, Guards guards,
           std::shared_ptr<append_notifier> notifier)
    : proposer_(std::make_shared<proposer>(std::move(program.proposals))),
      notifier_(std::move(notifier)),
      logger_(nuraft::cs_new<tracing_logger>(std::move(program.sink))),
      tls_(std::move(guards.tls)) {
    nuraft::asio_service::options network = transport_options(std::move(guards.passports));
    secure(network, tls_);
    auto store = nuraft::cs_new<durable_log>(std::move(program.log));
    auto manager = nuraft::cs_new<durable_state>(options.id, std::move(program.state), store);
    server_ =
        launcher_.init(nuraft::cs_new<fsm>(std::move(program.fsm)), manager, logger_, options.port,
                       network, params_of(options), init_options_of(options, manager, proposer_));
    if (!server_) {
        throw std::runtime_error("cannot listen on TCP port " + std::to_string(options.port) +
                                 ": it is in use, or not permitted");
    }
    proposer_->attach(server_);
    notifier_->attach(server_);
}

node::~node() {
    shutdown();
}

const proposer& node::get_proposer() const noexcept {
    return *proposer_;
}

void node::read_index(rust::Box<ReadCompletion> completion) const noexcept {
#ifdef RAFT3D_CORE_READS
    using result_type = nuraft::cmd_result<uint64_t>;
    try {
        // In a form that a copyable handler can hold; it runs once.
        auto pending = std::make_shared<rust::Box<ReadCompletion>>(std::move(completion));
        const result_type::handler_type2 on_ready = [pending](result_type& done,
                                                              ptr<std::exception>&) {
            const nuraft::cmd_result_code code = done.get_result_code();
            const std::string text = done.get_result_str();
            const ReadVerdict verdict = code == nuraft::cmd_result_code::OK ? ReadVerdict::At
                                        : code == nuraft::cmd_result_code::BAD_REQUEST
                                            ? ReadVerdict::Unsupported
                                            : ReadVerdict::Unconfirmed;
            const uint64_t index = verdict == ReadVerdict::At ? done.get() : 0;
            complete_read(std::move(*pending), verdict, index,
                          {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
        };
        nuraft::read_index(*server_)->when_ready(on_ready);
    } catch (const std::exception&) {
        // The completion is dropped, which means that the read is not confirmed.
    }
#else
    complete_read(std::move(completion), ReadVerdict::Unsupported, 0, {});
#endif
}

NodeView node::view() const {
    NodeView view{};
    view.leader = server_->get_leader();
    view.leading = server_->is_leader();
    view.initialized = server_->is_initialized();
    view.term = server_->get_term();
    view.last_log_index = server_->get_last_log_idx();
    view.committed_index = server_->get_target_committed_log_idx();
    std::vector<ptr<nuraft::srv_config>> servers;
    server_->get_srv_config_all(servers);
    for (const auto& server : servers) {
        Member member{server->get_id(), server->get_endpoint(), server->is_learner(), -1, -1};
        if (view.leading && member.id != server_->get_id()) {
            const nuraft::raft_server::peer_info info = server_->get_peer_info(member.id);
            if (info.id_ == member.id) {
                member.last_log_index = static_cast<int64_t>(info.last_log_idx_);
                member.last_contact_ms = static_cast<int64_t>(info.last_succ_resp_us_ / 1000);
            }
        }
        view.members.push_back(std::move(member));
    }
    return view;
}

uint64_t node::create_snapshot() const {
    nuraft::raft_server::create_snapshot_options options;
    options.serialize_commit_ = true;
    return server_->create_snapshot(options);
}

ChangeVerdict node::add_learner(int32_t id, rust::Str endpoint) const {
    if (!server_->is_leader()) return ChangeVerdict::NotLeader;
    const int dc = 0;
    const bool learner = true;
    return verdict_of(*server_->add_srv({id, dc, std::string(endpoint), "", learner}));
}

ChangeVerdict node::remove_member(int32_t id) const {
    if (!server_->is_leader()) return ChangeVerdict::NotLeader;
    return verdict_of(*server_->remove_srv(id));
}

bool node::is_leaving(int32_t id) const {
    // A leader keeps the connection to a server that its configuration has no more.
    return server_->is_leader() && !server_->get_srv_config(id) &&
           server_->get_peer_info(id).id_ == id;
}

ChangeVerdict node::make_voter(int32_t id) const {
    return verdict_of(server_->flip_learner_flag(id, false)->get_result_code());
}

void node::yield_leadership(int32_t successor) const {
    const bool immediately = false;
    server_->yield_leadership(immediately, successor);
}

void node::shutdown() const noexcept {
    std::call_once(shut_down_, [this] {
        if (!server_) return;
        try {
            notifier_->detach();
            launcher_.shutdown();
        } catch (const std::exception& e) {
            logger_->put_details(2, __FILE__, __func__, __LINE__,
                                 std::string("shutdown failed: ") + e.what());
        }
    });
}

std::unique_ptr<node> start_node(const NodeOptions& options, Program program, Guards guards,
                                 std::shared_ptr<append_notifier> notifier) {
    return std::make_unique<node>(options, std::move(program), std::move(guards),
                                  std::move(notifier));
}

namespace {

ptr<nuraft::cluster_config> config_of(rust::Slice<const Member> members) {
    const auto config = nuraft::cs_new<nuraft::cluster_config>();
    for (const Member& member : members) {
        const int dc = 0;
        config->get_servers().push_back(nuraft::cs_new<nuraft::srv_config>(
            member.id, dc, std::string(member.endpoint), "", member.learner));
    }
    return config;
}

rust::Vec<uint8_t> bytes_of(nuraft::buffer& buffer) {
    rust::Vec<uint8_t> bytes;
    bytes.reserve(buffer.size());
    for (const uint8_t byte : slice_of(buffer)) bytes.push_back(byte);
    return bytes;
}

}  // namespace

rust::Vec<uint8_t> encode_config(rust::Slice<const Member> members) {
    return bytes_of(*config_of(members)->serialize());
}

rust::Vec<uint8_t> encode_snapshot(uint64_t index, uint64_t term,
                                   rust::Slice<const Member> members) {
    nuraft::snapshot description(index, term, config_of(members));
    return bytes_of(*description.serialize());
}

rust::Vec<uint8_t> encode_term(uint64_t term) {
    const int voted_for_nobody = -1;
    const bool election_timer_allowed = true;
    const nuraft::srv_state state(term, voted_for_nobody, election_timer_allowed, false, false);
    return bytes_of(*state.serialize());
}

rust::Vec<Member> decode_config(rust::Slice<const uint8_t> bytes) {
    const ptr<nuraft::cluster_config> config =
        nuraft::cluster_config::deserialize(*buffer_of(bytes));
    rust::Vec<Member> members;
    for (const auto& server : config->get_servers()) {
        members.push_back(
            Member{server->get_id(), server->get_endpoint(), server->is_learner(), -1, -1});
    }
    return members;
}

}  // namespace raft3d
