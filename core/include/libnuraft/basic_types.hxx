#pragma once

#include <cstddef>
#include <cstdint>

namespace nuraft {

// Exactly these underlying types: libc has global `ulong`, `uint` and `ushort`, and unqualified use
// after `using namespace nuraft` is unambiguous only while the types are the same.
typedef uint64_t ulong;
typedef int64_t int64;
typedef void* any_ptr;
typedef unsigned char byte;
typedef uint16_t ushort;
typedef uint32_t uint;
typedef int32_t int32;

}  // namespace nuraft

#define sz_int sizeof(int32)
#define sz_ulong sizeof(ulong)
#define sz_byte sizeof(byte)
