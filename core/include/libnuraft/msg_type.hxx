#pragma once

#include <string>

namespace nuraft {

/// Type numbers of messages, as on the wire.
enum msg_type {
    request_vote_request = 1,
    request_vote_response = 2,
    append_entries_request = 3,
    append_entries_response = 4,  ///< Answers `client_request` too.
    client_request = 5,
    add_server_request = 6,
    add_server_response = 7,
    remove_server_request = 8,
    remove_server_response = 9,
    sync_log_request = 10,
    sync_log_response = 11,
    join_cluster_request = 12,
    join_cluster_response = 13,
    leave_cluster_request = 14,
    leave_cluster_response = 15,
    install_snapshot_request = 16,
    install_snapshot_response = 17,
    ping_request = 18,
    ping_response = 19,
    pre_vote_request = 20,
    pre_vote_response = 21,
    other_request = 22,
    other_response = 23,
    priority_change_request = 24,
    priority_change_response = 25,
    reconnect_request = 26,
    reconnect_response = 27,
    custom_notification_request = 28,
    custom_notification_response = 29,
};

inline bool is_valid_msg(msg_type type) {
    return type >= request_vote_request && type <= custom_notification_response;
}

/// The enumerator's name; for other numbers `unknown (N)`.
std::string msg_type_to_string(msg_type type);

}  // namespace nuraft
