#include "base/bytes.hxx"

#include <stdexcept>
#include <string>

namespace nuraft {

void throw_overrun(size_t len, size_t pos, size_t size) {
    throw std::overflow_error(std::to_string(len) + " bytes at position " + std::to_string(pos) +
                              " run past the end of a buffer of " + std::to_string(size));
}

}  // namespace nuraft
