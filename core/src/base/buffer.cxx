#include "buffer.hxx"

#include <cstring>
#include <istream>
#include <ostream>
#include <stdexcept>

#include "base/bytes.hxx"

#ifdef ENABLE_RAFT_STATS
#include "stat_mgr.hxx"
#endif

namespace nuraft {

namespace {

constexpr size_t size_limit = 0x80000000;
constexpr size_t large_size = 0x8000;

void check_size(size_t size) {
    if (size >= size_limit) {
        throw std::out_of_range("buffer of " + std::to_string(size) +
                                " bytes: the largest has 2147483647");
    }
}

#ifdef ENABLE_RAFT_STATS
struct buffer_counters {
    stat_elem* make(const char* name) {
        return stat_mgr::get_instance()->create_stat(stat_elem::COUNTER, name);
    }
    stat_elem& allocs = *make("num_buffer_allocs");
    stat_elem& alloc_bytes = *make("amount_buffer_allocs");
    stat_elem& active = *make("num_active_buffers");
    stat_elem& active_bytes = *make("amount_active_buffers");
};

buffer_counters& counters() {
    static buffer_counters made;
    return made;
}

void count_allocated(size_t bytes) {
    counters().allocs.inc();
    counters().alloc_bytes.inc(bytes);
    counters().active.inc();
    counters().active_bytes.inc(bytes);
}

void count_freed(size_t bytes) {
    counters().active.dec();
    counters().active_bytes.dec(bytes);
}
#else
void count_allocated(size_t) {}
void count_freed(size_t) {}
#endif

}  // namespace

buffer::buffer(size_t size) : bytes_(new byte[size]), size_(size), pos_(0) {
    count_allocated(container_size());
}

buffer::~buffer() {
    count_freed(container_size());
}

ptr<buffer> buffer::alloc(const size_t size) {
    check_size(size);
    return ptr<buffer>(new buffer(size));
}

ptr<buffer> buffer::copy(const buffer& buf) {
    ptr<buffer> to = alloc(buf.size() - buf.pos());
    copy_bytes(to->data_begin(), buf.data(), to->size());
    return to;
}

ptr<buffer> buffer::clone(const buffer& buf) {
    ptr<buffer> to = alloc(buf.size());
    copy_bytes(to->data_begin(), buf.data_begin(), buf.size());
    return to;
}

ptr<buffer> buffer::expand(const buffer& buf, uint32_t new_size) {
    if (new_size < buf.size()) {
        throw std::out_of_range("buffer of " + std::to_string(buf.size()) +
                                " bytes cannot be expanded to " + std::to_string(new_size));
    }
    ptr<buffer> to = alloc(new_size);
    copy_bytes(to->data_begin(), buf.data_begin(), buf.size());
    to->pos(buf.pos());
    return to;
}

size_t buffer::container_size() const {
    return size_ + (size_ < large_size ? 4 : 8);
}

byte* buffer::advance(size_t len) {
    check_room(len, pos_, size_);
    byte* at = data();
    pos_ += len;
    return at;
}

int32 buffer::get_int() {
    return load_little_endian<int32>(advance(sizeof(int32)));
}

ulong buffer::get_ulong() {
    return load_little_endian<ulong>(advance(sizeof(ulong)));
}

byte buffer::get_byte() {
    return *advance(1);
}

const byte* buffer::get_bytes(size_t& len) {
    const size_t start = pos_;
    // A negative length becomes one that no buffer has.
    const size_t length = static_cast<size_t>(get_int());
    if (length > size_ - pos_) {
        pos_ = start;
        throw_overrun(length, start + sizeof(int32), size_);
    }
    len = length;
    return advance(len);
}

void buffer::get(ptr<buffer>& dst) {
    if (!dst) throw std::invalid_argument("buffer::get into a null buffer");
    const size_t len = dst->size() - dst->pos();
    copy_bytes(dst->data(), advance(len), len);
}

const char* buffer::get_str() {
    const void* end = std::memchr(data(), 0, size_ - pos_);
    if (!end) return nullptr;
    const size_t len = static_cast<const byte*>(end) - data();
    const char* text = reinterpret_cast<const char*>(advance(len + 1));
    return len > 0 ? text : nullptr;
}

byte* buffer::get_raw(size_t len) {
    return advance(len);
}

void buffer::put(byte b) {
    *advance(1) = b;
}

void buffer::put(const char* ba, size_t len) {
    put(reinterpret_cast<const byte*>(ba), len);
}

void buffer::put(const byte* ba, size_t len) {
    // Twice, because the sum may wrap around.
    check_room(len, pos_, size_);
    byte* to = advance(sizeof(int32) + len);
    store_little_endian(to, static_cast<int32>(len));
    copy_bytes(to + sizeof(int32), ba, len);
}

void buffer::put(int32 val) {
    store_little_endian(advance(sizeof(val)), val);
}

void buffer::put(ulong val) {
    store_little_endian(advance(sizeof(val)), val);
}

void buffer::put(const std::string& str) {
    copy_bytes(advance(str.size() + 1), str.c_str(), str.size() + 1);
}

void buffer::put(const buffer& buf) {
    const byte* from = buf.data();
    const size_t len = buf.size() - buf.pos();
    copy_bytes(advance(len), from, len);
}

void buffer::put_raw(const byte* ba, size_t len) {
    copy_bytes(advance(len), ba, len);
}

std::ostream& operator<<(std::ostream& out, buffer& buf) {
    if (out) {
        out.write(reinterpret_cast<const char*>(buf.data()),
                  static_cast<std::streamsize>(buf.size() - buf.pos()));
    }
    if (!out) throw std::ios::failure("cannot write a buffer to the stream");
    return out;
}

std::istream& operator>>(std::istream& in, buffer& buf) {
    if (in) {
        in.read(reinterpret_cast<char*>(buf.data()),
                static_cast<std::streamsize>(buf.size() - buf.pos()));
    }
    if (!in) throw std::ios::failure("cannot fill a buffer from the stream");
    return in;
}

}  // namespace nuraft
