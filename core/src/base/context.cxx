#include "context.hxx"

#include <utility>

namespace nuraft {

context::context(ptr<state_mgr> mgr, ptr<state_machine> m, ptr<rpc_listener> listener,
                 ptr<logger> l, ptr<rpc_client_factory> cli_factory,
                 ptr<delayed_task_scheduler> scheduler, const raft_params& params,
                 global_mgr* custom_global_mgr)
    : state_mgr_(std::move(mgr)),
      state_machine_(std::move(m)),
      rpc_listener_(std::move(listener)),
      logger_(std::move(l)),
      rpc_cli_factory_(std::move(cli_factory)),
      scheduler_(std::move(scheduler)),
      params_(cs_new<raft_params>(params)),
      custom_global_mgr_(custom_global_mgr) {}

void context::set_cb_func(cb_func::func_type func) {
    cb_func_ = cb_func(std::move(func));
}

ptr<raft_params> context::get_params() const {
    auto_lock(ctx_lock_);
    return params_;
}

void context::set_params(ptr<raft_params>& to) {
    auto_lock(ctx_lock_);
    params_ = to;
}

}  // namespace nuraft
