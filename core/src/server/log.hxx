#pragma once

#include <cstdarg>
#include <cstddef>
#include <string>

#include "logger.hxx"
#include "ptr.hxx"

namespace nuraft {

/// Levels of `logger`.
enum log_level {
    log_fatal = 1,
    log_error = 2,
    log_warning = 3,
    log_info = 4,
    log_debug = 5,
    log_trace = 6,
};

/// The text of a `printf` format, of any length.
std::string format_text(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace nuraft

/// Writes one line to a `ptr<logger>`, which may be null. Nothing is formatted above the logger's
/// level; that is why this is a macro.
#define SERVER_LOG(log, level, ...)                                   \
    do {                                                              \
        if ((log) && (log)->get_level() >= (level))                   \
            (log)->put_details((level), __FILE__, __func__, __LINE__, \
                               ::nuraft::format_text(__VA_ARGS__));   \
    } while (0)
