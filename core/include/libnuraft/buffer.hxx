#pragma once

#include <iosfwd>
#include <memory>
#include <string>

#include "basic_types.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

/// A byte area of fixed size with one cursor. Integers are little endian.
///
/// Every get and put that would run past the end throws `std::overflow_error` and leaves the cursor
/// where it was. Not synchronised: many threads may read through `data_begin()` or
/// `buffer_serializer`, as long as nobody moves the cursor or writes.
class buffer {
    __nocopy__(buffer);

public:
    /// Uninitialised bytes, cursor 0. `size` 0 is allowed; 0x80000000 and more throw
    /// `std::out_of_range`.
    static ptr<buffer> alloc(const size_t size);
    /// The bytes from the cursor of `buf` to its end.
    static ptr<buffer> copy(const buffer& buf);
    /// All bytes of `buf`; the new cursor is 0.
    static ptr<buffer> clone(const buffer& buf);
    /// The bytes of `buf` in front of a larger area, with the same cursor. Throws
    /// `std::out_of_range` if `new_size` is less than `buf.size()` or above 0x7fffffff.
    static ptr<buffer> expand(const buffer& buf, uint32_t new_size);

    /// Size with the bookkeeping of NuRaft's layout: 4 bytes up to 0x7fff, 8 above.
    size_t container_size() const;
    size_t size() const { return size_; }
    size_t pos() const { return pos_; }
    /// Values beyond `size()` mean `size()`.
    void pos(size_t p) { pos_ = p < size_ ? p : size_; }

    /// Address at the cursor.
    byte* data() const { return bytes_.get() + pos_; }
    byte* data_begin() const { return bytes_.get(); }

    int32 get_int();
    ulong get_ulong();
    byte get_byte();
    /// An int32 length, then that many bytes; points into the buffer.
    const byte* get_bytes(size_t& len);
    /// Fills `dst` from its cursor to its end. Only this buffer's cursor moves.
    void get(ptr<buffer>& dst);
    /// Text up to a NUL; points into the buffer. Null and one byte further for an empty text; null
    /// and the cursor unmoved if there is no NUL before the end.
    const char* get_str();
    byte* get_raw(size_t len);

    void put(byte b);
    /// An int32 length, then the bytes.
    void put(const char* ba, size_t len);
    void put(const byte* ba, size_t len);
    void put(int32 val);
    void put(ulong val);
    /// The characters and a NUL.
    void put(const std::string& str);
    /// The bytes from the cursor of `buf` to its end, without a length.
    void put(const buffer& buf);
    void put_raw(const byte* ba, size_t len);

    ~buffer();

private:
    explicit buffer(size_t size);
    byte* advance(size_t len);

    std::unique_ptr<byte[]> bytes_;
    size_t size_;
    size_t pos_;
};

/// Writes the bytes from the cursor to the end. Throws `std::ios::failure` if the stream is bad.
std::ostream& operator<<(std::ostream& out, buffer& buf);

/// Fills the buffer from the cursor to the end. Throws `std::ios::failure` if the stream is bad or
/// ends before.
std::istream& operator>>(std::istream& in, buffer& buf);

}  // namespace nuraft
