#pragma once

#include <exception>
#include <string>

#include "logger.hxx"
#include "ptr.hxx"

namespace nuraft {
namespace transport {

/// Levels of `logger`.
enum class level { error = 2, warning = 3, info = 4, debug = 5 };

inline void log_line(const ptr<logger>& log, level l, const char* file, const char* function,
                     size_t line, const std::string& text) {
    log->put_details(static_cast<int>(l), file, function, line, text);
}

/// Runs a piece of the program's code (hooks, completions, tasks), which must not take an I/O
/// thread down: an exception is logged. False if there was one.
template <typename F>
bool guarded(const ptr<logger>& log, const char* what, F&& run) {
    std::string error;
    try {
        run();
        return true;
    } catch (const std::exception& e) {
        error = e.what();
    } catch (...) {
        error = "not a std::exception";
    }
    if (log && log->get_level() >= static_cast<int>(level::error))
        log_line(log, level::error, __FILE__, __func__, __LINE__,
                 std::string(what) + " threw: " + error);
    return false;
}

}  // namespace transport
}  // namespace nuraft

/// Logs a line to `log` (may be null). `text` is built only if its level is wanted.
#define TRANSPORT_LOG(log, lvl, text)                                                         \
    do {                                                                                      \
        if ((log) && (log)->get_level() >= static_cast<int>(::nuraft::transport::level::lvl)) \
            ::nuraft::transport::log_line((log), ::nuraft::transport::level::lvl, __FILE__,   \
                                          __func__, __LINE__, (text));                        \
    } while (0)
