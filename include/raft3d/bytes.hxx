#pragma once

#include <cstdint>
#include <cstring>
#include <libnuraft/nuraft.hxx>

#include "rust/cxx.h"

namespace raft3d {

/// The whole of `buf`, whatever its cursor; valid as long as the buffer.
inline rust::Slice<const uint8_t> slice_of(const nuraft::buffer& buf) {
    return {buf.data_begin(), buf.size()};
}

/// A new buffer holding a copy of `bytes`.
inline nuraft::ptr<nuraft::buffer> buffer_of(rust::Slice<const uint8_t> bytes) {
    auto buf = nuraft::buffer::alloc(bytes.size());
    if (!bytes.empty()) std::memcpy(buf->data_begin(), bytes.data(), bytes.size());
    return buf;
}

/// The same for bytes that Rust owned.
inline nuraft::ptr<nuraft::buffer> buffer_of(const rust::Vec<uint8_t>& bytes) {
    return buffer_of(rust::Slice<const uint8_t>(bytes.data(), bytes.size()));
}

}  // namespace raft3d
