#include "buffer_serializer.hxx"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "base/bytes.hxx"

namespace nuraft {

namespace {

buffer& not_null(const ptr<buffer>& buf) {
    if (!buf) throw std::invalid_argument("buffer_serializer on a null buffer");
    return *buf;
}

}  // namespace

buffer_serializer::buffer_serializer(buffer& src_buf, endianness endian)
    : buf_(src_buf), endian_(endian), pos_(0) {}

buffer_serializer::buffer_serializer(ptr<buffer>& src_buf_ptr, endianness endian)
    : buf_(not_null(src_buf_ptr)), endian_(endian), pos_(0) {}

void buffer_serializer::pos(size_t new_pos) {
    if (new_pos > size()) {
        throw std::overflow_error("position " + std::to_string(new_pos) +
                                  " lies behind the end of a buffer of " + std::to_string(size()));
    }
    pos_ = new_pos;
}

byte* buffer_serializer::advance(size_t len) {
    check_room(len, pos_, size());
    byte* at = buf_.data_begin() + pos_;
    pos_ += len;
    return at;
}

template <typename T>
void buffer_serializer::put_integer(T val) {
    byte* to = advance(sizeof(T));
    store_little_endian(to, val);
    if (endian_ == BIG) std::reverse(to, to + sizeof(T));
}

template <typename T>
T buffer_serializer::get_integer() {
    byte bytes[sizeof(T)];
    std::memcpy(bytes, advance(sizeof(T)), sizeof(T));
    if (endian_ == BIG) std::reverse(bytes, bytes + sizeof(T));
    return load_little_endian<T>(bytes);
}

void buffer_serializer::put_u8(uint8_t val) {
    put_integer(val);
}
void buffer_serializer::put_u16(uint16_t val) {
    put_integer(val);
}
void buffer_serializer::put_u32(uint32_t val) {
    put_integer(val);
}
void buffer_serializer::put_u64(uint64_t val) {
    put_integer(val);
}
void buffer_serializer::put_i8(int8_t val) {
    put_integer(val);
}
void buffer_serializer::put_i16(int16_t val) {
    put_integer(val);
}
void buffer_serializer::put_i32(int32_t val) {
    put_integer(val);
}
void buffer_serializer::put_i64(int64_t val) {
    put_integer(val);
}

void buffer_serializer::put_raw(const void* raw_ptr, size_t len) {
    copy_bytes(advance(len), raw_ptr, len);
}

void buffer_serializer::put_buffer(const buffer& buf) {
    put_raw(buf.data(), buf.size() - buf.pos());
}

void buffer_serializer::put_bytes(const void* raw_ptr, size_t len) {
    // Both before anything is written, so that the cursor stays if they do not fit.
    check_room(sizeof(uint32_t), pos_, size());
    check_room(len, pos_ + sizeof(uint32_t), size());
    put_u32(static_cast<uint32_t>(len));
    put_raw(raw_ptr, len);
}

void buffer_serializer::put_str(const std::string& str) {
    put_bytes(str.data(), str.size());
}

void buffer_serializer::put_cstr(const char* str) {
    put_raw(str, std::strlen(str) + 1);
}

uint8_t buffer_serializer::get_u8() {
    return get_integer<uint8_t>();
}
uint16_t buffer_serializer::get_u16() {
    return get_integer<uint16_t>();
}
uint32_t buffer_serializer::get_u32() {
    return get_integer<uint32_t>();
}
uint64_t buffer_serializer::get_u64() {
    return get_integer<uint64_t>();
}
int8_t buffer_serializer::get_i8() {
    return get_integer<int8_t>();
}
int16_t buffer_serializer::get_i16() {
    return get_integer<int16_t>();
}
int32_t buffer_serializer::get_i32() {
    return get_integer<int32_t>();
}
int64_t buffer_serializer::get_i64() {
    return get_integer<int64_t>();
}

void* buffer_serializer::get_raw(size_t len) {
    return advance(len);
}

void buffer_serializer::get_buffer(ptr<buffer>& dst) {
    if (!dst) throw std::invalid_argument("buffer_serializer::get_buffer into a null buffer");
    const size_t len = dst->size() - dst->pos();
    copy_bytes(dst->data(), advance(len), len);
}

void* buffer_serializer::get_bytes(size_t& len) {
    const size_t start = pos_;
    const uint32_t length = get_u32();
    if (length > size() - pos_) {
        pos_ = start;
        throw_overrun(length, start + sizeof(length), size());
    }
    len = length;
    return advance(len);
}

std::string buffer_serializer::get_str() {
    size_t len = 0;
    const void* bytes = get_bytes(len);
    return std::string(static_cast<const char*>(bytes), len);
}

const char* buffer_serializer::get_cstr() {
    const void* end = std::memchr(data(), 0, size() - pos_);
    if (!end) {
        throw std::overflow_error("text at position " + std::to_string(pos_) +
                                  " has no NUL before the end of a buffer of " +
                                  std::to_string(size()));
    }
    const size_t len = static_cast<const byte*>(end) - static_cast<const byte*>(data());
    return reinterpret_cast<const char*>(advance(len + 1));
}

}  // namespace nuraft
