#pragma once

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <stdexcept>

// What a hostile peer can reach, each as a function of bytes. It returns if everything that must
// hold does, whatever the bytes are, and throws `broken` otherwise. Deterministic.

namespace fuzz {

/// A property does not hold.
class broken : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

template <typename... T>
void require(bool holds, const T&... what) {
    if (holds) return;
    std::ostringstream text;
    (text << ... << what);
    throw broken(text.str());
}

/// What a session reads from a connection: frames of requests, one after another. What is accepted
/// is encoded again to the same values, and to the same bytes where only one form exists.
void request_frames(const uint8_t* data, size_t size);

/// The same for the client's side: frames of responses.
void response_frames(const uint8_t* data, size_t size);

/// A serialized object; the first byte says of which kind. What is accepted is serialized to the
/// same bytes, but for bytes of which several values mean the same.
void objects(const uint8_t* data, size_t size);

/// The life of one server of the protocol whose peers, clients, disk and clock do what the bytes
/// say: terms and commits never go back, no vote is changed, nothing committed is rewritten, every
/// request is answered once, and only contradicting what is committed makes it halt.
void protocol_steps(const uint8_t* data, size_t size);

struct target {
    const char* name;  ///< Also of its folder in `corpus`.
    void (*run)(const uint8_t* data, size_t size);
};

constexpr target targets[] = {
    {"request_frames", request_frames},
    {"response_frames", response_frames},
    {"objects", objects},
    {"protocol_steps", protocol_steps},
};

}  // namespace fuzz
