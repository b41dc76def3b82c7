#pragma once

#include <cstddef>
#include <string>

#include "pp_util.hxx"

namespace nuraft {

/// Where the library's log lines go. Override `put_details`, `set_level` and `get_level`.
///
/// Levels: 6 trace, 5 debug, 4 info, 3 warning, 2 error, 1 fatal. Called concurrently from every
/// thread of the library, locks possibly held, so it must be thread-safe and must not call back
/// into a server. A null logger is accepted everywhere.
class logger {
    __interface_body__(logger);

public:
    // Never called; kept for programs that call them on their own loggers.
    virtual void debug(const std::string& log_line) { (void)log_line; }
    virtual void info(const std::string& log_line) { (void)log_line; }
    virtual void warn(const std::string& log_line) { (void)log_line; }
    virtual void err(const std::string& log_line) { (void)log_line; }

    virtual void set_level(int l) { (void)l; }
    /// Asked before each message; what is above the level is not even formatted.
    virtual int get_level() { return 6; }
    /// One message, without a newline at its end.
    virtual void put_details(int level, const char* source_file, const char* func_name,
                             size_t line_number, const std::string& log_line) {
        (void)level;
        (void)source_file;
        (void)func_name;
        (void)line_number;
        (void)log_line;
    }
};

}  // namespace nuraft
