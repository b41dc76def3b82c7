#include "raft3d/tracing_logger.hxx"

#include <cstdint>
#include <cstring>
#include <utility>

#include "raft3d/src/ffi.rs.h"

namespace raft3d {

namespace {

rust::Slice<const uint8_t> bytes_of(const char* text, size_t len) {
    return {reinterpret_cast<const uint8_t*>(text), len};
}

}  // namespace

tracing_logger::tracing_logger(rust::Box<LogSink> sink) : sink_(std::move(sink)) {}

tracing_logger::~tracing_logger() = default;

int tracing_logger::get_level() {
    return sink_->level();
}

void tracing_logger::put_details(int level, const char* source_file, const char* /*func_name*/,
                                 size_t line_number, const std::string& log_line) {
    const size_t file_len = source_file ? std::strlen(source_file) : 0;
    sink_->put(level, bytes_of(source_file, file_len), line_number,
               bytes_of(log_line.data(), log_line.size()));
}

}  // namespace raft3d
