#include "options.hxx"

#include <limits>
#include <sstream>
#include <stdexcept>

namespace bench {

const char* const usage =
    "raft_bench: three servers on the loopback, clients on the leader.\n"
    "  --threads LIST     client threads, one case for each number (1,8,32,128)\n"
    "  --mode MODE        blocking, async, or both (blocking)\n"
    "  --seconds N        length of a measurement (5)\n"
    "  --warmup-ms N      time before it, in milliseconds (1000)\n"
    "  --payload BYTES    size of an entry (256)\n"
    "  --window N         requests under way for each thread in mode async (16)\n"
    "  --stream N         entries that a server may be sent before it answers; 0: one request at "
    "a\n"
    "                     time (0)\n"
    "  --stream-bytes N   payload that it may be sent before it answers; 0: no limit (0)\n"
    "  --json FILE        where the results go (raft_bench.json)\n";

const char* to_string(mode m) {
    return m == mode::blocking ? "blocking" : "async";
}

int parse_number(const std::string& name, const std::string& text, int least) {
    size_t end = 0;
    long long number = 0;
    try {
        number = std::stoll(text, &end);
    } catch (const std::exception&) {
        end = 0;
    }
    if (end == 0 || end != text.size() || number < least ||
        number > std::numeric_limits<int>::max()) {
        throw std::invalid_argument(name + " takes a number from " + std::to_string(least) +
                                    " on, not \"" + text + "\"");
    }
    return static_cast<int>(number);
}

namespace {

std::vector<int> parse_threads(const std::string& text) {
    std::vector<int> numbers;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, ',');) {
        numbers.push_back(parse_number("--threads", part, 1));
    }
    if (numbers.empty()) throw std::invalid_argument("--threads takes numbers, as in 1,8,32");
    return numbers;
}

std::vector<mode> parse_modes(const std::string& text) {
    if (text == "blocking") return {mode::blocking};
    if (text == "async") return {mode::async};
    if (text == "both") return {mode::blocking, mode::async};
    throw std::invalid_argument("--mode takes blocking, async or both, not \"" + text + "\"");
}

}  // namespace

options parse_options(int argc, char** argv) {
    options o;
    for (int i = 1; i < argc; i += 2) {
        const std::string name = argv[i];
        if (i + 1 == argc) throw std::invalid_argument(name + " lacks its value");
        const std::string value = argv[i + 1];
        if (name == "--threads") {
            o.threads = parse_threads(value);
        } else if (name == "--mode") {
            o.modes = parse_modes(value);
        } else if (name == "--seconds") {
            o.measure_ms = 1000 * std::min(parse_number(name, value, 1), 3600);
        } else if (name == "--warmup-ms") {
            o.warmup_ms = parse_number(name, value, 0);
        } else if (name == "--payload") {
            o.payload_bytes = parse_number(name, value, 1);
        } else if (name == "--window") {
            o.async_window = parse_number(name, value, 1);
        } else if (name == "--stream") {
            o.stream = parse_number(name, value, 0);
        } else if (name == "--stream-bytes") {
            o.stream_bytes = parse_number(name, value, 0);
        } else if (name == "--json") {
            o.json = value;
        } else {
            throw std::invalid_argument("there is no option \"" + name + "\"");
        }
    }
    return o;
}

}  // namespace bench
