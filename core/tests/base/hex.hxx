#pragma once

#include <string>

#include "buffer.hxx"

namespace nuraft {

inline ptr<buffer> from_hex(const std::string& hex) {
    ptr<buffer> to = buffer::alloc(hex.size() / 2);
    for (size_t i = 0; i < to->size(); ++i) {
        to->data_begin()[i] = static_cast<byte>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
    }
    return to;
}

/// All bytes, whatever the cursor.
inline std::string to_hex(const buffer& buf) {
    static const char digits[] = "0123456789abcdef";
    std::string hex;
    for (size_t i = 0; i < buf.size(); ++i) {
        hex += digits[buf.data_begin()[i] >> 4];
        hex += digits[buf.data_begin()[i] & 0xf];
    }
    return hex;
}

inline ptr<buffer> from_text(const std::string& text) {
    ptr<buffer> to = buffer::alloc(text.size());
    to->put_raw(reinterpret_cast<const byte*>(text.data()), text.size());
    to->pos(0);
    return to;
}

/// All bytes, whatever the cursor.
inline std::string to_text(const buffer& buf) {
    return std::string(reinterpret_cast<const char*>(buf.data_begin()), buf.size());
}

}  // namespace nuraft
