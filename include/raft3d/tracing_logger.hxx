#pragma once

#include <cstddef>
#include <libnuraft/nuraft.hxx>
#include <string>

#include "rust/cxx.h"

namespace raft3d {

struct LogSink;

/// Makes the core's log lines events of Rust's `tracing`.
class tracing_logger : public nuraft::logger {
public:
    explicit tracing_logger(rust::Box<LogSink> sink);
    ~tracing_logger() override;

    /// The level that the Rust side listens to at this moment.
    int get_level() override;

    void put_details(int level, const char* source_file, const char* func_name, size_t line_number,
                     const std::string& log_line) override;

private:
    rust::Box<LogSink> sink_;
};

}  // namespace raft3d
