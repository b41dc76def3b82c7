#include "report.hxx"

#include <sys/utsname.h>

#include <cstdio>
#include <fstream>
#include <thread>

namespace bench {

namespace {

std::string processor() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.compare(0, 10, "model name") != 0) continue;
        const size_t colon = line.find(": ");
        if (colon != std::string::npos) return line.substr(colon + 2);
    }
    return "unknown";
}

std::string kernel() {
    utsname name{};
    return ::uname(&name) == 0 ? std::string(name.sysname) + " " + name.release : "unknown";
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out.push_back('\\');
        if (static_cast<unsigned char>(c) >= 0x20) out.push_back(c);
    }
    return out + "\"";
}

double per_second(const options& o, int64_t ops) {
    return 1000.0 * static_cast<double>(ops) / o.measure_ms;
}

double per_op(int64_t amount, int64_t ops) {
    return ops == 0 ? 0 : static_cast<double>(amount) / static_cast<double>(ops);
}

double ms(int64_t ns) {
    return static_cast<double>(ns) / 1e6;
}

}  // namespace

void print_table_head(std::ostream& out) {
    char line[160];
    std::snprintf(line, sizeof(line), "%-9s %7s %9s %8s %8s %8s %8s %9s %9s %7s\n", "mode",
                  "threads", "op/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "CPU us/op",
                  "switch/op", "failed");
    out << line;
}

void print_row(std::ostream& out, const options& o, const case_result& c) {
    const load_result& r = c.leader;
    char line[160];
    std::snprintf(line, sizeof(line), "%-9s %7d %9.0f %8.3f %8.3f %8.3f %8.3f %9.1f %9.2f %7lld\n",
                  to_string(c.how), c.threads, per_second(o, r.ops - r.failed), ms(r.p50),
                  ms(r.p99), ms(r.p999), ms(r.max), per_op(c.all.user_us + c.all.system_us, r.ops),
                  per_op(c.all.switches, r.ops), static_cast<long long>(r.failed));
    out << line << std::flush;
}

void write_json(std::ostream& out, const options& o, const std::vector<case_result>& cases) {
    out << "{\n  \"machine\": {\"processor\": " << quoted(processor())
        << ", \"cores\": " << std::thread::hardware_concurrency()
        << ", \"kernel\": " << quoted(kernel()) << "},\n"
        << "  \"servers\": 3,\n  \"payload_bytes\": " << o.payload_bytes
        << ",\n  \"warmup_ms\": " << o.warmup_ms << ",\n  \"measure_ms\": " << o.measure_ms
        << ",\n  \"async_window\": " << o.async_window << ",\n  \"stream\": " << o.stream
        << ",\n  \"stream_bytes\": " << o.stream_bytes << ",\n  \"cases\": [";
    const char* separator = "\n";
    for (const case_result& c : cases) {
        const load_result& r = c.leader;
        out << separator << "    {\"mode\": \"" << to_string(c.how)
            << "\", \"threads\": " << c.threads
            << ", \"ops_per_second\": " << per_second(o, r.ops - r.failed)
            << ", \"failed\": " << r.failed << ", \"p50_ms\": " << ms(r.p50)
            << ", \"p99_ms\": " << ms(r.p99) << ", \"p99_9_ms\": " << ms(r.p999)
            << ", \"max_ms\": " << ms(r.max)
            << ", \"user_us_per_op\": " << per_op(c.all.user_us, r.ops)
            << ", \"system_us_per_op\": " << per_op(c.all.system_us, r.ops)
            << ", \"context_switches_per_op\": " << per_op(c.all.switches, r.ops)
            << ", \"leader_cpu_us_per_op\": " << per_op(r.used.user_us + r.used.system_us, r.ops)
            << "}";
        separator = ",\n";
    }
    out << "\n  ]\n}\n";
}

}  // namespace bench
