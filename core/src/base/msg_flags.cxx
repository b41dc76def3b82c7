#include "req_msg.hxx"
#include "resp_msg.hxx"

namespace nuraft {

// Definitions for programs built as C++11, where the declarations in the class are none.
constexpr uint64_t req_msg::EXCLUDED_FROM_THE_QUORUM;
constexpr uint64_t resp_msg::SELF_MARK_DOWN;

}  // namespace nuraft
