#include <libnuraft/nuraft.hxx>

using namespace nuraft;

namespace {

/// A transport that reaches nobody.
class nowhere : public rpc_client_factory {
public:
    ptr<rpc_client> create_client(const std::string&) override { return nullptr; }
};

/// Time that does not pass.
class never : public delayed_task_scheduler {
public:
    void schedule(ptr<delayed_task>&, int32) override {}

private:
    void cancel_impl(ptr<delayed_task>&) override {}
};

}  // namespace

int main() {
    ptr<rpc_client_factory> transport = cs_new<nowhere>();
    ptr<delayed_task_scheduler> timers = cs_new<never>();
    if (transport->create_client("a:1") || !timers) return 1;
    if (!nuraft_global_mgr::init()) return 1;
    nuraft_global_mgr::shutdown();
    return raft_server::get_raft_limits().leave_limit_ == 5 ? 0 : 1;
}
