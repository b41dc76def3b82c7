#pragma once

#include <string>
#include <vector>

#include "options.hxx"

namespace bench {

/// What a server process is told on its command line.
struct server_options {
    int id = 1;
    int port = 0;
    mode how = mode::blocking;
    int payload_bytes = 256;
    int async_window = 1;
    int stream = 0;
    int stream_bytes = 0;

    std::vector<std::string> to_arguments() const;
    /// The inverse. Throws `std::invalid_argument`.
    static server_options from_arguments(const std::vector<std::string>& arguments);
};

/// Runs one server that does what its standard input says, one command a line, and answers on its
/// standard output. Returns, with the process's exit code, at the end of the input:
///
///     lead                      ok                     once it leads
///     add ID ENDPOINT           ok                     once that server is a member
///     usage                     usage USER_US SYSTEM_US SWITCHES
///     load THREADS WARMUP MS    began, ended, done OPS FAILED P50 P99 P999 MAX USER SYSTEM
///     SWITCHES
///
/// "failed REASON" is the answer to what cannot be done.
int serve(const server_options& options);

}  // namespace bench
