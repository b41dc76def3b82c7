#include "doubles/asio_cluster.hxx"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nuraft {
namespace test {

raft_params quick_params() {
    raft_params p;
    p.with_hb_interval(50).with_election_timeout_lower(300).with_election_timeout_upper(600);
    p.with_rpc_failure_backoff(20).with_client_req_timeout(20000);
    p.with_reserved_log_items(5);
    return p;
}

reserved_port::reserved_port() {
    // Bound but not listening, and both sides allow reuse: a listener may still take it.
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
        number_ = ntohs(address.sin_port);
    }
}

reserved_port::~reserved_port() {
    ::close(socket_);
}

asio_node::asio_node(int32 id) : id(id), endpoint_("127.0.0.1:" + std::to_string(port_.number())) {}

asio_node::~asio_node() {
    stop();
}

void asio_node::found(ptr<cluster_config> config) {
    mgr = cs_new<memory_state_mgr>(id, config);
}

void asio_node::start(const raft_params& params, const raft_server::init_options& opt) {
    launcher_ = std::make_unique<raft_launcher>();
    transport.thread_pool_size_ = 2;
    server = launcher_->init(sm, mgr, log, port_.number(), transport, params, opt);
    ASSERT_TRUE(server) << "server " << id << " did not start at " << endpoint_;
}

void asio_node::stop() {
    if (!launcher_) return;
    server.reset();
    EXPECT_TRUE(launcher_->shutdown(static_cast<size_t>(patience.count())))
        << "threads of server " << id << " did not end";
    launcher_.reset();
}

asio_cluster::asio_cluster(int32 servers, const raft_params& params, bool streaming,
                           const std::function<ptr<memory_state_machine>()>& make_machine) {
    std::vector<std::string> endpoints;
    for (int32 id = 1; id <= servers; ++id) {
        nodes_.push_back(std::make_unique<asio_node>(id));
        endpoints.push_back(nodes_.back()->endpoint());
    }
    for (auto& n : nodes_) {
        n->found(config_of(endpoints));
        n->transport.streaming_mode_ = streaming;
        if (make_machine) n->sm = make_machine();
        n->start(params);
    }
}

asio_node* asio_cluster::wait_for_leader() {
    asio_node* found = nullptr;
    const auto agreed = eventually("one leader that all running servers know", [&] {
        int32 leader = -1;
        for (auto& n : nodes_) {
            if (!n->running()) continue;
            const int32 known = n->server->get_leader();
            if (known == -1 || (leader != -1 && known != leader)) return false;
            leader = known;
        }
        if (leader == -1 || !node(leader).running()) return false;
        found = &node(leader);
        return found->server->is_leader();
    });
    EXPECT_TRUE(agreed);
    return agreed ? found : nullptr;
}

asio_node& asio_cluster::any_follower() {
    for (auto& n : nodes_) {
        if (n->running() && !n->server->is_leader()) return *n;
    }
    throw std::logic_error("no server follows");
}

testing::AssertionResult asio_cluster::all_have(const std::string& text) {
    return eventually("'" + text + "' applied by all", [&] {
        for (auto& n : nodes_) {
            if (n->running() && !n->sm->has(text)) return false;
        }
        return true;
    });
}

ptr<cmd_result<ptr<buffer>>> append(raft_server& server, const std::string& text) {
    return server.append_entries({text_buffer(text)});
}

void append_many(raft_server& server, int first, int end) {
    for (int i = first; i < end; ++i) {
        auto result = append(server, std::to_string(i));
        ASSERT_TRUE(result->get_accepted());
        ASSERT_NE("", value_of(*result)) << "entry " << i;
    }
}

std::string value_of(cmd_result<ptr<buffer>>& result) {
    const ptr<buffer>& value = result.get();
    return value ? text_of(*value) : std::string();
}

}  // namespace test
}  // namespace nuraft
