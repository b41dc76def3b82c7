#include <signal.h>

#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>

#include "process.hxx"
#include "report.hxx"

// How fast do three servers on one machine commit small entries? Each case gets a new cluster.

namespace bench {

namespace {

case_result run_case(const options& o, mode how, int threads) {
    const reserved_port ports[3];
    server_options server;
    server.how = how;
    server.payload_bytes = o.payload_bytes;
    server.async_window = o.async_window;
    server.stream = o.stream;
    server.stream_bytes = o.stream_bytes;
    auto start = [&](int id) {
        server.id = id;
        server.port = ports[id - 1].number();
        return std::make_unique<server_process>(server);
    };
    const auto leader = start(1), second = start(2), third = start(3);
    // A server can only be reached once it is up, which its own leadership of a cluster of one
    // shows.
    for (const auto* s : {&leader, &second, &third}) (*s)->tell("lead");
    for (const auto* s : {&leader, &second, &third}) (*s)->hear("ok");
    for (int id : {2, 3}) {
        leader->tell("add " + std::to_string(id) + " " + ports[id - 1].endpoint());
        leader->hear("ok");
    }

    leader->tell("load " + std::to_string(threads) + " " + std::to_string(o.warmup_ms) + " " +
                 std::to_string(o.measure_ms));
    leader->hear("began");
    const resources before = second->usage() + third->usage();
    leader->hear("ended");
    const resources followers = second->usage() + third->usage() - before;
    std::istringstream in(leader->hear("done"));
    case_result c;
    c.how = how;
    c.threads = threads;
    load_result& r = c.leader;
    in >> r.ops >> r.failed >> r.p50 >> r.p99 >> r.p999 >> r.max >> r.used.user_us >>
        r.used.system_us >> r.used.switches;
    if (!in) throw std::runtime_error("the leader's result cannot be read");
    c.all = followers + r.used;
    return c;
}

int run_all(const options& o) {
    // Opened first, so that a bad name costs no measurements.
    std::ofstream json(o.json);
    if (!json) throw std::runtime_error("cannot write " + o.json);
    std::vector<case_result> cases;
    bool good = true;
    print_table_head(std::cout);
    for (const mode how : o.modes) {
        for (const int threads : o.threads) {
            cases.push_back(run_case(o, how, threads));
            print_row(std::cout, o, cases.back());
            good = good && cases.back().leader.ops > 0 && cases.back().leader.failed == 0;
        }
    }
    write_json(json, o, cases);
    json.close();
    if (!json) throw std::runtime_error("cannot write " + o.json);
    return good ? 0 : 1;
}

int run(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (!arguments.empty() && arguments[0] == "--serve") {
        return serve(server_options::from_arguments({arguments.begin() + 1, arguments.end()}));
    }
    if (arguments.size() == 1 && arguments[0] == "--help") {
        std::cout << usage;
        return 0;
    }
    return run_all(parse_options(argc, argv));
}

}  // namespace

}  // namespace bench

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    try {
        return bench::run(argc, argv);
    } catch (const std::exception& e) {
        std::cerr << "raft_bench: " << e.what() << std::endl;
        return 1;
    }
}
