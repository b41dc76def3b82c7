#include "doubles/test_network.hxx"

namespace nuraft {
namespace test {

void test_network::attach(const std::string& endpoint, const ptr<raft_server>& server) {
    std::lock_guard<std::mutex> guard(lock_);
    servers_[endpoint] = server;
}

void test_network::detach(const std::string& endpoint) {
    std::lock_guard<std::mutex> guard(lock_);
    servers_.erase(endpoint);
}

void test_network::cut(const std::string& endpoint, bool on) {
    std::lock_guard<std::mutex> guard(lock_);
    if (on) {
        cut_.insert(endpoint);
    } else {
        cut_.erase(endpoint);
    }
}

ptr<resp_msg> test_network::deliver(const std::string& endpoint, req_msg& req,
                                    const raft_server::req_ext_params& ext) {
    ptr<raft_server> target;
    {
        std::lock_guard<std::mutex> guard(lock_);
        if (cut_.count(endpoint) == 0) target = servers_[endpoint].lock();
    }
    return target ? process_req(target.get(), *rebuilt(req), ext) : nullptr;
}

ptr<req_msg> rebuilt(req_msg& req) {
    auto copy =
        cs_new<req_msg>(req.get_term(), req.get_type(), req.get_src(), req.get_dst(),
                        req.get_last_log_term(), req.get_last_log_idx(), req.get_commit_idx());
    for (const ptr<log_entry>& e : req.log_entries()) {
        copy->log_entries().push_back(cs_new<log_entry>(e->get_term(), buffer::clone(e->get_buf()),
                                                        e->get_val_type(), e->get_timestamp()));
    }
    copy->set_extra_flags(req.get_extra_flags());
    return copy;
}

void complete(const ptr<req_msg>& req, ptr<resp_msg> resp, const rpc_handler& when_done) {
    ptr<rpc_exception> error;
    if (!resp) error = cs_new<rpc_exception>("no answer", req);
    if (resp && resp->has_async_cb()) {
        resp->call_async_cb()->when_ready(cmd_result<ptr<buffer>>::handler_type2(
            [resp, when_done](cmd_result<ptr<buffer>>& result, ptr<std::exception>&) {
                ptr<resp_msg> answer = resp;
                ptr<rpc_exception> none;
                answer->set_ctx(result.get());
                answer->set_result_code(result.get_result_code());
                when_done(answer, none);
            }));
        return;
    }
    if (resp && resp->has_cb()) resp = resp->call_cb(resp);
    when_done(resp, error);
}

}  // namespace test
}  // namespace nuraft
