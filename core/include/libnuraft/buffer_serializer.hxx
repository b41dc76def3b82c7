#pragma once

#include <cstdint>
#include <string>

#include "basic_types.hxx"
#include "buffer.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

/// Reads and writes a buffer through a cursor of its own, leaving the buffer's cursor alone. The
/// buffer must outlive it. For one thread; several serializers may read one buffer concurrently.
///
/// Every member that would run past the end throws `std::overflow_error` and leaves the cursor
/// where it was.
class buffer_serializer {
    __nocopy__(buffer_serializer);

public:
    enum endianness {
        LITTLE = 0x0,
        BIG = 0x1,
    };

    buffer_serializer(buffer& src_buf, endianness endian = LITTLE);
    /// Throws `std::invalid_argument` for a null pointer.
    buffer_serializer(ptr<buffer>& src_buf_ptr, endianness endian = LITTLE);

    size_t pos() const { return pos_; }
    size_t size() const { return buf_.size(); }
    void pos(size_t new_pos);
    /// Address at the cursor.
    void* data() const { return buf_.data_begin() + pos_; }

    void put_u8(uint8_t val);
    void put_u16(uint16_t val);
    void put_u32(uint32_t val);
    void put_u64(uint64_t val);
    void put_i8(int8_t val);
    void put_i16(int16_t val);
    void put_i32(int32_t val);
    void put_i64(int64_t val);
    void put_raw(const void* raw_ptr, size_t len);
    /// The bytes from the cursor of `buf` to its end, without a length.
    void put_buffer(const buffer& buf);
    /// A u32 length, then the bytes.
    void put_bytes(const void* raw_ptr, size_t len);
    /// The same layout as `put_bytes`.
    void put_str(const std::string& str);
    /// The characters and a NUL.
    void put_cstr(const char* str);

    uint8_t get_u8();
    uint16_t get_u16();
    uint32_t get_u32();
    uint64_t get_u64();
    int8_t get_i8();
    int16_t get_i16();
    int32_t get_i32();
    int64_t get_i64();
    /// Points into the buffer.
    void* get_raw(size_t len);
    /// Fills `dst` from its cursor to its end; its cursor stays.
    void get_buffer(ptr<buffer>& dst);
    /// A u32 length, then that many bytes; points into the buffer.
    void* get_bytes(size_t& len);
    std::string get_str();
    /// Text up to a NUL; points into the buffer.
    const char* get_cstr();

private:
    byte* advance(size_t len);
    template <typename T>
    void put_integer(T val);
    template <typename T>
    T get_integer();

    buffer& buf_;
    endianness endian_;
    size_t pos_;
};

}  // namespace nuraft
