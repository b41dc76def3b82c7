#include "srv_role.hxx"

namespace nuraft {

std::string srv_role_to_string(srv_role role) {
    switch (role) {
        case follower:
            return "follower";
        case candidate:
            return "candidate";
        case leader:
            return "leader";
    }
    return "UNKNOWN";
}

}  // namespace nuraft
