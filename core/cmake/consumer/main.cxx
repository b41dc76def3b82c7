#include <iostream>
#include <libnuraft/in_memory_log_store.hxx>
#include <libnuraft/nuraft.hxx>

using namespace nuraft;

static_assert(std::is_base_of<log_store, inmem_log_store>::value, "the sample is declared");

namespace {

int failed(const char* what) {
    std::cerr << "failed: " << what << std::endl;
    return 1;
}

}  // namespace

int main() {
    cluster_config config(7, 3);
    config.get_servers().push_back(cs_new<srv_config>(1, "127.0.0.1:9001"));
    ptr<cluster_config> read = cluster_config::deserialize(*config.serialize());
    if (read->get_server(1) == nullptr) return failed("reading a configuration back");

    const uint64_t& flag = req_msg::EXCLUDED_FROM_THE_QUORUM;
    if (std::max(flag, resp_msg::SELF_MARK_DOWN) != 1) return failed("constants by reference");

    asio_service::options options;
    options.thread_pool_size_ = 1;
    asio_service service(options);
    service.stop();
    if (service.get_active_workers() != 0) return failed("stopping the transport");

    raft_launcher launcher;
    if (launcher.shutdown()) return failed("shutting nothing down");
    if (raft_server::get_raft_limits().leave_limit_ != 5) return failed("default limits");
    return 0;
}
