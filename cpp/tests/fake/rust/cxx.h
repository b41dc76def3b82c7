#pragma once

// As much of cxx's header as the TLS glue uses, without Rust behind it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace rust {

/// A view of bytes that are lent.
template <typename T>
class Slice {
public:
    Slice(T* data, size_t size) : data_(data), size_(size) {}
    T* data() const { return data_; }
    size_t size() const { return size_; }
    T* begin() const { return data_; }
    T* end() const { return data_ + size_; }

private:
    T* data_;
    size_t size_;
};

/// The one owner of a value.
template <typename T>
class Box {
public:
    explicit Box(std::unique_ptr<T> value) : value_(std::move(value)) {}
    const T& operator*() const { return *value_; }

private:
    std::unique_ptr<T> value_;
};

}  // namespace rust
