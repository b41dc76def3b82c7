#pragma once

#include "basic_types.hxx"

namespace nuraft {

/// What the payload of a log entry is. Only `app_log` and `conf` reach a log store.
enum log_val_type : byte {
    app_log = 1,         ///< Bytes of the application.
    conf = 2,            ///< A serialized `cluster_config`.
    cluster_server = 3,  ///< Body of an add-server or remove-server request.
    log_pack = 4,        ///< Packed entries for a joining server.
    snp_sync_req = 5,    ///< A serialized `snapshot_sync_req`.
    custom = 231,        ///< Body of an internal notification.
};

}  // namespace nuraft
