#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.hxx"
#include "basic_types.hxx"

namespace nuraft {
namespace transport {

/// Appends little-endian integers and bytes to an area that the caller has measured beforehand.
/// Does not own the area.
class byte_writer {
public:
    explicit byte_writer(byte* begin) : at_(begin) {}

    template <typename T>
    void put(T value) {
        store_little_endian(at_, value);
        at_ += sizeof(T);
    }
    void put_bytes(const void* bytes, size_t size) {
        if (size > 0) std::memcpy(at_, bytes, size);  // a null pointer is legal for no bytes
        at_ += size;
    }

private:
    byte* at_;
};

/// Reads little-endian integers and bytes. The caller asks `left` before each read: reading more
/// than is left is a precondition violation. Does not own the bytes.
class byte_reader {
public:
    byte_reader(const byte* begin, size_t size) : at_(begin), left_(size) {}

    size_t left() const { return left_; }

    template <typename T>
    T get() {
        return load_little_endian<T>(take(sizeof(T)));
    }
    /// Pointer to the next `size` bytes, which are passed over.
    const byte* take(size_t size) {
        const byte* bytes = at_;
        at_ += size;
        left_ -= size;
        return bytes;
    }

private:
    const byte* at_;
    size_t left_;
};

}  // namespace transport
}  // namespace nuraft
