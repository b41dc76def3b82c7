#pragma once

#include <string>

namespace nuraft {

enum srv_role {
    follower = 0x1,
    candidate = 0x2,
    leader = 0x3,
};

/// The enumerator's name, or `UNKNOWN`.
std::string srv_role_to_string(srv_role role);

}  // namespace nuraft
