#include "server.hxx"

#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "load.hxx"
#include "memory_parts.hxx"

namespace bench {

namespace {

using namespace std::chrono_literals;

/// How long three servers may take to start and agree on a leader.
constexpr std::chrono::seconds ready_within = 30s;

std::string endpoint_of(int port) {
    return "127.0.0.1:" + std::to_string(port);
}

raft_params params_for(const server_options& options) {
    raft_params p;
    // Patient, so that a busy machine makes no elections.
    p.with_hb_interval(200).with_election_timeout_lower(2000).with_election_timeout_upper(4000);
    p.with_client_req_timeout(10000);
    p.return_method_ =
        options.how == mode::blocking ? raft_params::blocking : raft_params::async_handler;
    p.max_log_gap_in_stream_ = options.stream;
    p.max_bytes_in_flight_in_stream_ = options.stream_bytes;
    return p;
}

void wait_for(const std::string& what, const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + ready_within;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) {
            throw std::runtime_error("not in time: " + what);
        }
        std::this_thread::sleep_for(5ms);
    }
}

void add(raft_server& server, int id, const std::string& endpoint) {
    const std::string who = "server " + std::to_string(id);
    // Refused while the last change is under way.
    wait_for("accepting " + who, [&] {
        ptr<cmd_result<ptr<buffer>>> r = server.add_srv(srv_config(id, endpoint));
        return r->get_accepted() && r->get_result_code() == cmd_result_code::OK;
    });
    wait_for("membership of " + who, [&] { return server.get_srv_config(id) != nullptr; });
}

std::ostream& operator<<(std::ostream& out, const resources& r) {
    return out << r.user_us << ' ' << r.system_us << ' ' << r.switches;
}

void run(raft_server& server, const server_options& options, std::istream& arguments) {
    load what;
    int warmup_ms = 0, measure_ms = 0;
    arguments >> what.threads >> warmup_ms >> measure_ms;
    if (!arguments) throw std::runtime_error("load lacks numbers");
    what.how = options.how;
    what.payload_bytes = options.payload_bytes;
    what.async_window = options.async_window;
    what.warmup = std::chrono::milliseconds(warmup_ms);
    what.measure = std::chrono::milliseconds(measure_ms);
    const load_result r = run_load(
        server, what, [] { std::cout << "began" << std::endl; },
        [] { std::cout << "ended" << std::endl; });
    std::cout << "done " << r.ops << ' ' << r.failed << ' ' << r.p50 << ' ' << r.p99 << ' '
              << r.p999 << ' ' << r.max << ' ' << r.used << std::endl;
}

void obey(raft_server& server, const server_options& options, const std::string& line) {
    std::istringstream in(line);
    std::string command;
    in >> command;
    if (command == "lead") {
        wait_for("leadership", [&] { return server.is_initialized() && server.is_leader(); });
        std::cout << "ok" << std::endl;
    } else if (command == "add") {
        int id = 0;
        std::string endpoint;
        in >> id >> endpoint;
        add(server, id, endpoint);
        std::cout << "ok" << std::endl;
    } else if (command == "usage") {
        std::cout << "usage " << used_by_this_process() << std::endl;
    } else if (command == "load") {
        run(server, options, in);
    } else {
        throw std::runtime_error("unknown command: " + line);
    }
}

}  // namespace

std::vector<std::string> server_options::to_arguments() const {
    return {std::to_string(id),
            std::to_string(port),
            to_string(how),
            std::to_string(payload_bytes),
            std::to_string(async_window),
            std::to_string(stream),
            std::to_string(stream_bytes)};
}

server_options server_options::from_arguments(const std::vector<std::string>& arguments) {
    if (arguments.size() != 7) throw std::invalid_argument("a server takes seven arguments");
    server_options o;
    o.id = parse_number("id", arguments[0], 1);
    o.port = parse_number("port", arguments[1], 1);
    o.how = arguments[2] == to_string(mode::async) ? mode::async : mode::blocking;
    o.payload_bytes = parse_number("payload", arguments[3], 1);
    o.async_window = parse_number("window", arguments[4], 1);
    o.stream = parse_number("stream", arguments[5], 0);
    o.stream_bytes = parse_number("stream bytes", arguments[6], 0);
    return o;
}

int serve(const server_options& options) {
    raft_launcher launcher;
    asio_service::options network;
    network.streaming_mode_ = options.stream > 0;
    ptr<raft_server> server = launcher.init(
        cs_new<empty_state_machine>(), cs_new<memory_state>(options.id, endpoint_of(options.port)),
        nullptr, options.port, network, params_for(options));
    if (!server) {
        std::cout << "failed no server at port " << options.port << std::endl;
        return 1;
    }
    for (std::string line; std::getline(std::cin, line);) {
        try {
            obey(*server, options, line);
        } catch (const std::exception& e) {
            std::cout << "failed " << e.what() << std::endl;
        }
    }
    server.reset();
    return launcher.shutdown() ? 0 : 1;
}

}  // namespace bench
