#include "raft_server.hxx"

#include <typeinfo>

#include "server/impl.hxx"

// The public API, each member handed to the implementation.

namespace nuraft {

namespace {

/// Configurations are not copyable; their encoding is complete.
ptr<srv_config> copy_of(const srv_config& server) {
    return srv_config::deserialize(*server.serialize());
}

}  // namespace

raft_server::limits raft_server::raft_limits_;
const int raft_server::default_snapshot_sync_block_size;

raft_server::raft_server(context* ctx, const init_options& opt)
    : impl_(impl::create(ctx, opt)),
      lock_(impl_->lock_),
      cli_lock_(impl_->lock_),
      ctx_(impl_->ctx_),
      id_(impl_->id_),
      log_store_(impl_->store_),
      state_machine_(impl_->state_machine_),
      l_(impl_->log_),
      scheduler_(impl_->ctx_->scheduler_),
      bg_commit_thread_(impl_->commit_thread_),
      bg_append_thread_(impl_->append_thread_),
      role_(srv_role::follower),
      state_(cs_new<srv_state>()),
      leader_(-1),
      hb_alive_(false),
      initialized_(false),
      stopping_(impl_->stopping_),
      commit_bg_stopped_(impl_->commit_stopped_),
      append_bg_stopped_(impl_->append_stopped_),
      test_mode_flag_(opt.test_mode_flag_),
      serving_req_(false),
      precommit_index_(0),
      leader_commit_index_(0),
      quick_commit_index_(0),
      sm_commit_index_(impl_->gate_.applied()),
      index_at_becoming_leader_(0),
      initial_commit_index_(impl_->gate_.applied()),
      sm_commit_paused_(impl_->gate_.pause_wanted()),
      sm_commit_exec_in_progress_(impl_->gate_.executing()),
      data_fresh_(impl_->fresh_),
      out_of_log_range_(false),
      waiting_for_sm_catchup_(false),
      self_mark_down_(false),
      excluded_from_the_quorum_(false),
      first_snapshot_distance_(static_cast<uint32_t>(impl_->first_distance_)),
      snp_in_progress_(impl_->creating_),
      snp_creation_scheduled_(impl_->is_scheduled_),
      my_priority_(0),
      target_priority_(0),
      votes_responded_(0),
      votes_granted_(0),
      election_completed_(true),
      im_learner_(false),
      config_changing_(false),
      steps_to_down_(0),
      srv_to_leave_target_idx_(0),
      write_paused_(false),
      next_leader_candidate_(-1) {
    impl_->set_owner(this);
    if (opt.start_server_in_constructor_) start_server(opt.skip_initial_election_timeout_);
}

raft_server::~raft_server() {
    impl_->shutdown();
    impl_->set_owner(nullptr);
}

void raft_server::start_server(bool skip_initial_election_timeout) {
    impl_->start(skip_initial_election_timeout);
}

void raft_server::stop_server() {
    impl_->stop();
}

void raft_server::shutdown() {
    impl_->shutdown();
}

// Requests

ptr<cmd_result<ptr<buffer>>> raft_server::append_entries(const std::vector<ptr<buffer>>& logs) {
    return impl_->append_entries(logs, req_ext_params());
}

ptr<cmd_result<ptr<buffer>>> raft_server::append_entries_ext(const std::vector<ptr<buffer>>& logs,
                                                             const req_ext_params& ext_params) {
    return impl_->append_entries(logs, ext_params);
}

ptr<cmd_result<ptr<buffer>>> raft_server::add_srv(const srv_config& srv) {
    return impl_->add_server(copy_of(srv));
}

ptr<cmd_result<ptr<buffer>>> raft_server::remove_srv(const int srv_id) {
    return impl_->remove_server(srv_id);
}

ptr<cmd_result<ptr<buffer>>> raft_server::flip_learner_flag(int32 srv_id, bool to) {
    return impl_->set_learner(srv_id, to);
}

// Leadership, priority, configuration

raft_server::PrioritySetResult raft_server::set_priority(const int srv_id, const int new_priority,
                                                         bool broadcast_when_leader_exists) {
    return impl_->set_priority(srv_id, new_priority, broadcast_when_leader_exists, false);
}

void raft_server::broadcast_priority_change(const int srv_id, const int new_priority) {
    impl_->set_priority(srv_id, new_priority, true, true);
}

void raft_server::yield_leadership(bool immediate_yield, int successor_id) {
    impl_->yield_leadership(immediate_yield, successor_id);
}

bool raft_server::request_leadership() {
    return impl_->request_leadership();
}

void raft_server::restart_election_timer() {
    impl_->restart_election_timer();
}

void raft_server::set_user_ctx(const std::string& ctx) {
    impl_->set_user_context(ctx);
}

std::string raft_server::get_user_ctx() const {
    return impl_->view().config->get_user_ctx();
}

bool raft_server::update_srv_config(const srv_config& new_config) {
    return impl_->update_server(copy_of(new_config));
}

void raft_server::send_reconnect_request() {
    impl_->request_reconnect();
}

void raft_server::update_params(const raft_params& new_params) {
    impl_->update_params(new_params);
}

raft_params raft_server::get_current_params() const {
    return impl_->params();
}

void raft_server::set_inc_term_func(srv_state::inc_term_func func) {
    impl_->set_term_function(func);
}

bool raft_server::set_self_mark_down(bool to) {
    return impl_->set_self_mark_down(to);
}

bool raft_server::is_part_of_full_consensus() {
    return impl_->part_of_full_consensus();
}

bool raft_server::is_excluded_by_leader() {
    return impl_->view().excluded_by_leader;
}

raft_server::limits raft_server::get_raft_limits() {
    return raft_limits_;
}

void raft_server::set_raft_limits(const limits& new_limits) {
    raft_limits_ = new_limits;
}

bool raft_server::apply_config_log_entry(ptr<log_entry>& le, ptr<state_mgr>& s_mgr,
                                         std::string& err_msg) {
    if (!le || !s_mgr) {
        err_msg = le ? "the state manager is null" : "the log entry is null";
        return false;
    }
    if (le->get_val_type() != log_val_type::conf) {
        err_msg = "the log entry is of type " + std::to_string(le->get_val_type()) +
                  ", not a configuration";
        return false;
    }
    if (le->is_buf_null() || le->get_buf().size() == 0) {
        err_msg = "the log entry has no payload";
        return false;
    }
    try {
        s_mgr->save_config(*cluster_config::deserialize(le->get_buf()));
    } catch (const std::exception& e) {
        err_msg = std::string("the configuration was not saved: ") + e.what();
        return false;
    }
    return true;
}

CbReturnCode raft_server::invoke_callback(cb_func::Type type, cb_func::Param* param) {
    return impl_->call_back(type, param);
}

// Getters

bool raft_server::is_initialized() const {
    return impl_->view().initialized;
}

bool raft_server::is_catching_up() const {
    return impl_->view().catching_up;
}

bool raft_server::is_receiving_snapshot() const {
    return impl_->view().receiving_snapshot;
}

bool raft_server::is_leader() const {
    return impl_->view().leads(impl_->id());
}

int32 raft_server::get_leader() const {
    return impl_->view().leader;
}

bool raft_server::is_leader_alive() const {
    return impl_->view().leader_alive;
}

int32 raft_server::get_id() const {
    return impl_->id();
}

ulong raft_server::get_term() const {
    return impl_->view().term;
}

ulong raft_server::get_log_term(ulong log_idx) const {
    return impl_->store()->term_at(log_idx);
}

ulong raft_server::get_last_log_term() const {
    return impl_->store()->last_entry()->get_term();
}

ulong raft_server::get_last_log_idx() const {
    return impl_->view().last_log_index;
}

ulong raft_server::get_committed_log_idx() const {
    return impl_->applied();
}

ulong raft_server::get_target_committed_log_idx() const {
    return impl_->view().commit_index;
}

ulong raft_server::get_leader_committed_log_idx() const {
    const server_status s = impl_->view();
    return s.role == srv_role::leader ? impl_->applied() : s.leader_commit_index;
}

uint64_t raft_server::get_log_idx_at_becoming_leader() const {
    return impl_->view().index_at_becoming_leader;
}

bool raft_server::is_leader_sm_fully_caught_up() const {
    const server_status s = impl_->view();
    return s.leads(impl_->id()) && impl_->applied() + 1 >= s.index_at_becoming_leader;
}

ulong raft_server::get_expected_committed_log_idx() {
    return impl_->expected_commit_index();
}

ptr<cluster_config> raft_server::get_config() const {
    return impl_->view().config;
}

ptr<log_store> raft_server::get_log_store() const {
    return impl_->store();
}

int32 raft_server::get_dc_id(int32 srv_id) const {
    const ptr<srv_config> server = get_srv_config(srv_id);
    return server ? server->get_dc_id() : -1;
}

std::string raft_server::get_aux(int32 srv_id) const {
    const ptr<srv_config> server = get_srv_config(srv_id);
    return server ? server->get_aux() : std::string();
}

ptr<srv_config> raft_server::get_srv_config(int32 srv_id) const {
    return impl_->view().config->get_server(srv_id);
}

void raft_server::get_srv_config_all(std::vector<ptr<srv_config>>& configs_out) const {
    const ptr<cluster_config> config = impl_->view().config;
    for (const ptr<srv_config>& server : config->get_servers()) configs_out.push_back(server);
}

raft_server::peer_info raft_server::get_peer_info(int32 srv_id) const {
    for (const peer_info& info : impl_->peer_infos()) {
        if (info.id_ == srv_id) return info;
    }
    return peer_info();
}

std::vector<raft_server::peer_info> raft_server::get_peer_info_all() const {
    return impl_->peer_infos();
}

int32 raft_server::get_snapshot_sync_ctx_timeout() const {
    const raft_params p = impl_->params();
    if (p.snapshot_sync_ctx_timeout_ > 0) return p.snapshot_sync_ctx_timeout_;
    return p.heart_beat_interval_ * get_raft_limits().response_limit_;
}

ulong raft_server::get_last_snapshot_idx() const {
    return impl_->view().snapshot_index;
}

// The state machine

void raft_server::pause_state_machine_execution(size_t timeout_ms) {
    impl_->pause_applying(timeout_ms);
}

void raft_server::resume_state_machine_execution() {
    impl_->resume_applying();
}

bool raft_server::is_state_machine_execution_paused() const {
    return impl_->applying_paused();
}

bool raft_server::wait_for_state_machine_pause(size_t timeout_ms) {
    return impl_->wait_applying_idle(timeout_ms);
}

void raft_server::notify_log_append_completion(bool ok) {
    impl_->log_completion(ok);
}

ulong raft_server::create_snapshot(const create_snapshot_options& options) {
    return impl_->create_snapshot(options.serialize_commit_);
}

ptr<cmd_result<uint64_t>> raft_server::schedule_snapshot_creation() {
    return impl_->schedule_snapshot();
}

ptr<cmd_result<bool>> raft_server::wait_for_state_machine_commit(uint64_t target_idx) {
    return impl_->watch(target_idx);
}

// Requests of others

ptr<resp_msg> raft_server::process_req(req_msg& req, const req_ext_params& ext_params) {
    return impl_->process(req, ext_params);
}

void raft_server::process_req_async(ptr<req_msg> req, std::function<void(ptr<resp_msg>)> done) {
    // A derived class that replaces `process_req` must see every request; the price is that the
    // worker waits for the answer.
    if (typeid(*this) == typeid(raft_server)) return impl_->process_async(req, done);
    ptr<resp_msg> resp = process_req(*req, req_ext_params());
    if (resp && resp->has_async_cb()) {
        using result_type = cmd_result<ptr<buffer>>;
        resp->call_async_cb()->when_ready(
            result_type::handler_type2([resp, done](result_type& result, ptr<std::exception>&) {
                resp->set_ctx(result.get());
                resp->set_result_code(result.get_result_code());
                done(resp);
            }));
        return;
    }
    done(resp && resp->has_cb() ? resp->call_cb(resp) : resp);
}

}  // namespace nuraft
