#include "error_code.hxx"
#include "server/impl.hxx"

// What the protocol wants told to the program, asked of it, or done about it.

namespace nuraft {

using namespace protocol;

void raft_server::impl::on_notice(const notice& n, effects& rest) {
    ulong term = n.term;
    uint64_t index = n.index;
    switch (n.what) {
        case notice::became_leader:
            SERVER_LOG(log_, log_info, "server %d leads in term %lu", id_, n.term);
            event(cb_func::BecomeLeader, -1, &term);
            return;
        case notice::leader_catching_up:
            SERVER_LOG(log_, log_info,
                       "server %d is elected in term %lu and leads once its state machine is at "
                       "%lu",
                       id_, n.term, view().index_at_becoming_leader - 1);
            event(cb_func::LeaderSmCatchingUp, -1, &term);
            return;
        case notice::became_follower:
            return on_became_follower(n);
        case notice::append_response:
            event(cb_func::GotAppendEntryRespFromPeer, n.peer, &index);
            return;
        case notice::heartbeat:
            event(cb_func::HeartBeat, n.peer, &index);
            return;
        case notice::config_active:
            SERVER_LOG(log_, log_info, "configuration at index %lu is active", n.index);
            return;
        case notice::joined_cluster:
            event(cb_func::JoinedCluster, -1, n.config.get());
            return;
        case notice::removed_from_cluster:
            SERVER_LOG(log_, log_warning, "server %d is no member any more", id_);
            event(cb_func::RemovedFromCluster);
            return;
        case notice::out_of_log_range: {
            SERVER_LOG(log_, log_warning,
                       "server %d needs log entries before %lu that leader %d does not have", id_,
                       n.index, n.leader);
            cb_func::OutOfLogRangeWarningArgs args(n.index);
            event(cb_func::OutOfLogRangeWarning, -1, &args);
            return;
        }
        case notice::server_join_failed:
            SERVER_LOG(log_, log_warning, "server %d could not be added", n.peer);
            event(cb_func::ServerJoinFailed, n.peer);
            return;
        case notice::follower_lost:
            SERVER_LOG(log_, log_warning, "server %d is silent", n.peer);
            event(cb_func::FollowerLost, n.peer);
            return;
        case notice::leadership_expired:
            SERVER_LOG(log_, log_warning, "no quorum answers the leader of term %lu", n.term);
            if (program_lets_go(-1)) enter(inputs::yield{true, -1});
            return;
        case notice::resign_wanted:
            if (program_lets_go(n.peer)) enter(inputs::yield{false, n.peer});
            return;
        case notice::transfer_wanted:
            if (state_machine_->allow_leadership_transfer() && program_lets_go(n.peer)) {
                enter(inputs::yield{false, n.peer});
            }
            return;
        case notice::misbehaving_leader: {
            cb_func::ReqResp pair;
            pair.req = n.msg.get();
            event(cb_func::ReceivedMisbehavingMessage, -1, &pair);
            // The request's own reply is in this step: none, unless the program has one.
            for (protocol::reply& r : rest.replies) {
                if (!r.msg) r.msg = pair.resp;
            }
            return;
        }
        case notice::bad_message:
            SERVER_LOG(log_, log_error, "server %d misbehaves: %s", n.peer, n.text.c_str());
            return;
        case notice::snapshot_wanted:
            SERVER_LOG(log_, log_warning, "server %d needs a snapshot that does not exist yet",
                       n.peer);
            snapshot_wanted_ = true;
            gate_.poke();
            return;
        case notice::quorum_adjustment_wanted:
            return on_quorum_adjustment_wanted();
        case notice::isolated:
            SERVER_LOG(log_, log_fatal, "server %d cannot reach a leader that the others hear",
                       id_);
            state_mgr_->system_exit(raft_err::N22_unrecoverable_isolation);
            return;
        case notice::halt:
            return fail(n.code, n.text);
    }
}

void raft_server::impl::on_became_follower(const notice& n) {
    SERVER_LOG(log_, log_info, "server %d follows in term %lu, leader %d", id_, n.term, n.leader);
    ulong term = n.term;
    event(cb_func::BecomeFollower, -1, &term);
    // What is committed already keeps its result, unless that waits for others, of whom only a
    // leader hears. Leadership may be back by now, but in a later term: its requests are not
    // concerned.
    const bool tracked = ctx_->get_params()->track_peers_sm_commit_idx_;
    const uint64_t kept = tracked ? 0 : view().commit_index;
    for (const ptr<client_batch>& batch : batches_.take_lost(kept, n.term)) {
        batch->finish(nullptr, cmd_result_code::CANCELLED);
    }
}

void raft_server::impl::on_quorum_adjustment_wanted() {
    if (event(cb_func::AutoAdjustQuorum) == cb_func::ReturnNull) {
        SERVER_LOG(log_, log_warning,
                   "the other of two voters is away, and the program does not let server %d go on "
                   "alone",
                   id_);
        return;
    }
    SERVER_LOG(log_, log_error,
               "the other of two voters is away: server %d goes on alone. If the other is alive "
               "and only cut off, both may commit and one of them will lose what it committed",
               id_);
    enter(inputs::adjust_quorum{});
}

bool raft_server::impl::program_lets_go(int32_t successor) {
    if (event(cb_func::ResignationFromLeader, successor) == cb_func::Ok) return true;
    SERVER_LOG(log_, log_info, "the program refuses to give up leadership");
    return false;
}

}  // namespace nuraft
