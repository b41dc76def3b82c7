#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>

#include "basic_types.hxx"

namespace nuraft {

/// Integers in bytes, lowest first, whatever the machine's order and alignment. Compilers make one
/// instruction of each.
template <typename T>
void store_little_endian(byte* to, T value) {
    const auto bits = static_cast<std::make_unsigned_t<T>>(value);
    for (size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<byte>(bits >> (8 * i));
}

template <typename T>
T load_little_endian(const byte* from) {
    using bits_of = std::make_unsigned_t<T>;
    bits_of bits = 0;
    for (size_t i = 0; i < sizeof(T); ++i) {
        bits = static_cast<bits_of>(bits | static_cast<bits_of>(from[i]) << (8 * i));
    }
    return static_cast<T>(bits);
}

/// The areas may overlap. Null pointers are allowed with length 0, unlike with memmove.
inline void copy_bytes(void* to, const void* from, size_t len) {
    if (len > 0) std::memmove(to, from, len);
}

/// Throws the `std::overflow_error` of `check_room`.
[[noreturn]] void throw_overrun(size_t len, size_t pos, size_t size);

/// Throws `std::overflow_error` unless `len` bytes at `pos` lie within `size`. `pos` must not be
/// above `size`.
inline void check_room(size_t len, size_t pos, size_t size) {
    if (len > size - pos) throw_overrun(len, pos, size);
}

}  // namespace nuraft
