#include "server/impl.hxx"

// Requests of clients that came to a server which does not lead (behaviour 18).

namespace nuraft {

ptr<raft_server::impl::command_result> raft_server::impl::forward(const ptr<req_msg>& req) {
    const ptr<raft_params> p = ctx_->get_params();
    const ptr<srv_config> leader = view().config->get_server(req->get_dst());
    if (!p->auto_forwarding_ || !leader) {
        ptr<buffer> nothing;
        return cs_new<command_result>(nothing, false, cmd_result_code::NOT_LEADER);
    }
    forwarder::target to;
    to.leader = leader->get_id();
    to.endpoint = leader->get_endpoint();
    to.max_connections = p->auto_forwarding_max_connections_;
    to.send_timeout_ms = static_cast<uint64_t>(std::max(0, p->auto_forwarding_req_timeout_));
    to.patience = std::chrono::milliseconds(std::max(0, p->election_timeout_lower_bound_));
    ptr<forwarder::order> order = forwarder_->send(req, to);
    if (p->return_method_ == raft_params::blocking && !on_own_thread()) {
        forwarder_->wait(order, p->client_req_timeout_);
    }
    return order->result;
}

}  // namespace nuraft
