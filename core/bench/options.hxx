#pragma once

#include <string>
#include <vector>

namespace bench {

/// How a client waits for its requests.
enum class mode { blocking, async };

const char* to_string(mode m);

struct options {
    std::vector<mode> modes{mode::blocking};
    std::vector<int> threads{1, 8, 32, 128};
    int warmup_ms = 1000;
    int measure_ms = 5000;
    int payload_bytes = 256;
    /// Requests that one client thread has under way in mode `async`.
    int async_window = 16;
    /// `raft_params::max_log_gap_in_stream_`; 0: no streaming.
    int stream = 0;
    /// `raft_params::max_bytes_in_flight_in_stream_`; 0: no limit.
    int stream_bytes = 0;
    std::string json = "raft_bench.json";
};

/// What `--help` prints.
extern const char* const usage;

/// Reads `argv[1..]`. Throws `std::invalid_argument` with a text for people.
options parse_options(int argc, char** argv);

/// The number that `text` is, from `least` on; throws `std::invalid_argument` with `name` in it.
int parse_number(const std::string& name, const std::string& text, int least);

}  // namespace bench
