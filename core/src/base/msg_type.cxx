#include "msg_type.hxx"

namespace nuraft {

std::string msg_type_to_string(msg_type type) {
    switch (type) {
        case request_vote_request:
            return "request_vote_request";
        case request_vote_response:
            return "request_vote_response";
        case append_entries_request:
            return "append_entries_request";
        case append_entries_response:
            return "append_entries_response";
        case client_request:
            return "client_request";
        case add_server_request:
            return "add_server_request";
        case add_server_response:
            return "add_server_response";
        case remove_server_request:
            return "remove_server_request";
        case remove_server_response:
            return "remove_server_response";
        case sync_log_request:
            return "sync_log_request";
        case sync_log_response:
            return "sync_log_response";
        case join_cluster_request:
            return "join_cluster_request";
        case join_cluster_response:
            return "join_cluster_response";
        case leave_cluster_request:
            return "leave_cluster_request";
        case leave_cluster_response:
            return "leave_cluster_response";
        case install_snapshot_request:
            return "install_snapshot_request";
        case install_snapshot_response:
            return "install_snapshot_response";
        case ping_request:
            return "ping_request";
        case ping_response:
            return "ping_response";
        case pre_vote_request:
            return "pre_vote_request";
        case pre_vote_response:
            return "pre_vote_response";
        case other_request:
            return "other_request";
        case other_response:
            return "other_response";
        case priority_change_request:
            return "priority_change_request";
        case priority_change_response:
            return "priority_change_response";
        case reconnect_request:
            return "reconnect_request";
        case reconnect_response:
            return "reconnect_response";
        case custom_notification_request:
            return "custom_notification_request";
        case custom_notification_response:
            return "custom_notification_response";
    }
    return "unknown (" + std::to_string(static_cast<int>(type)) + ")";
}

}  // namespace nuraft
