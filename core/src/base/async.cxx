#include "async.hxx"

namespace nuraft {

std::string cmd_result_code_to_string(cmd_result_code code) {
    switch (code) {
        case OK:
            return "ok";
        case CANCELLED:
            return "cancelled; the outcome is unknown";
        case TIMEOUT:
            return "not committed in time; the outcome is unknown";
        case NOT_LEADER:
            return "this server is not the leader";
        case BAD_REQUEST:
            return "the request is malformed or the server is stopping";
        case SERVER_ALREADY_EXISTS:
            return "the server is in the cluster already";
        case CONFIG_CHANGING:
            return "an earlier change of the configuration is not committed yet";
        case SERVER_IS_JOINING:
            return "another server is joining";
        case SERVER_NOT_FOUND:
            return "there is no such server in the cluster";
        case CANNOT_REMOVE_LEADER:
            return "the leader cannot be removed";
        case SERVER_IS_LEAVING:
            return "another server is leaving";
        case TERM_MISMATCH:
            return "the term is not the expected one";
        case RESULT_NOT_EXIST_YET:
            return "there is no result yet";
        case FAILED:
            return "failed";
    }
    return "unknown result code " + std::to_string(static_cast<int32_t>(code));
}

}  // namespace nuraft
