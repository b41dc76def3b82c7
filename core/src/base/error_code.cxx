#include "error_code.hxx"

namespace nuraft {

const char* raft_err_msg[] = {
    "ok",
    "error",
    "this leader received append entries of another leader of its term",
    "this server was removed from the cluster",
    "the election timer of a leader ran out",
    "a message came that is no response",
    "no snapshot covers the log that is gone",
    "there is no configuration at log index one",
    "a peer's log is longer than the leader's",
    "a request of unknown type came",
    "this leader received a snapshot of another leader of its term",
    "this server stopped being follower while it installed a snapshot",
    "the state machine could not apply the snapshot",
    "the snapshot could not be received",
    "a snapshot transfer has no context",
    "a response of unknown type came",
    "a peer needs a snapshot, and none fits",
    "a raw snapshot is empty",
    "a chunk of a raw snapshot is shorter than asked for",
    "the log entry to commit is missing or has term 0",
    "applying committed entries failed",
    "the log store could not make entries durable",
    "this server is isolated and cannot recover",
    "an entry is about to be committed before it was pre-committed",
};

static_assert(sizeof(raft_err_msg) / sizeof(raft_err_msg[0]) == 1 - N23_precommit_order_inversion,
              "one message for each code");

}  // namespace nuraft
