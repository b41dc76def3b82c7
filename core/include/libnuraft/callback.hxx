#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "basic_types.hxx"
#include "ptr.hxx"

namespace nuraft {

class req_msg;
class resp_msg;

/// The one callback of a server, told of its events. It may run in several threads at once, often
/// with a lock of the server held: keep it short, never block in it, never shut the server down
/// from it. `Param` and what `ctx` points to are valid during the call only.
class cb_func {
public:
    /// After each: what `ctx` points to, and what a return code other than `Ok` does.
    enum Type {
        /// A request arrived, from a peer or a local client. `req_msg`. Drops it.
        ProcessReq = 1,
        /// Leader: a peer accepted entries. `uint64_t` matched index.
        GotAppendEntryRespFromPeer = 2,
        /// Leader: a client's entries were appended. `ulong` last index. The client gets
        /// `BAD_REQUEST`; the entries stay.
        AppendLogs = 3,
        /// Leader: a peer's heartbeat is due. `uint64_t` last log index.
        HeartBeat = 4,
        /// This server is a member now. `cluster_config`.
        JoinedCluster = 5,
        /// `ulong` term.
        BecomeLeader = 6,
        /// Leader: about to prepare a request for a peer. No context. Nothing is sent this time.
        RequestAppendEntries = 7,
        /// A snapshot object arrived. `snapshot_sync_req`. Refuses it.
        SaveSnapshot = 8,
        /// A configuration was committed. `uint64_t` index.
        NewConfig = 9,
        /// This server is no member any more. No context.
        RemovedFromCluster = 10,
        /// `uint64_t` term.
        BecomeFollower = 11,
        /// Follower: caught up with the leader. No context.
        BecomeFresh = 12,
        /// Follower: fell behind the leader. No context.
        BecomeStale = 13,
        /// Follower: an append request passed all checks. `req_msg`. Nothing is written.
        GotAppendEntryReqFromLeader = 14,
        /// The leader has neither the entries nor a snapshot for this server.
        /// `OutOfLogRangeWarningArgs`.
        OutOfLogRangeWarning = 15,
        /// First message on an incoming connection. `ConnectionArgs`.
        ConnectionOpened = 16,
        /// `ConnectionArgs`.
        ConnectionClosed = 17,
        /// First message that only leaders send on an incoming connection. `ConnectionArgs`.
        NewSessionFromLeader = 18,
        /// An index was applied and shows as committed. `uint64_t` index.
        StateMachineExecution = 19,
        /// Leader: a request was handed to the transport. `req_msg`.
        SentAppendEntriesReq = 20,
        /// Follower: an append request arrived. `req_msg`. Drops it.
        ReceivedAppendEntriesReq = 21,
        /// Follower: the answer to an append request is ready. `resp_msg`. Drops it.
        SentAppendEntriesResp = 22,
        /// Leader: an append response arrived. `resp_msg`.
        ReceivedAppendEntriesResp = 23,
        /// The quorum of two is about to become one. No context. Not adjusted.
        AutoAdjustQuorum = 24,
        /// Leader: adding a server failed. No context.
        ServerJoinFailed = 25,
        /// `uint64_t` index. No snapshot is made.
        SnapshotCreationBegin = 26,
        /// Leader: asked to hand over. No context. Stays leader.
        ResignationFromLeader = 27,
        /// Leader: a peer is silent; once until it recovers. No context.
        FollowerLost = 28,
        /// Leader: another leader in the same term. `ReqResp`, whose `resp` is the answer.
        ReceivedMisbehavingMessage = 29,
        /// Elected, but the state machine lags; `BecomeLeader` follows. `ulong` term.
        LeaderSmCatchingUp = 30,
    };

    struct Param {
        Param(int32_t my_id = -1, int32_t leader_id = -1, int32_t peer_id = -1,
              void* _ctx = nullptr)
            : myId(my_id), leaderId(leader_id), peerId(peer_id), ctx(_ctx) {}
        int32_t myId;
        int32_t leaderId;  ///< As known at the moment; -1: none.
        int32_t peerId;    ///< -1 if no peer is concerned.
        void* ctx;
    };

    struct ReqResp {
        ReqResp() : req(nullptr) {}
        req_msg* req;
        ptr<resp_msg> resp;
    };

    enum ReturnCode {
        Ok = 0,
        ReturnNull = -1,
    };

    struct OutOfLogRangeWarningArgs {
        OutOfLogRangeWarningArgs(uint64_t x = 0) : startIdxOfLeader(x) {}
        uint64_t startIdxOfLeader;
    };

    struct ConnectionArgs {
        ConnectionArgs(uint64_t id = 0, const std::string& addr = std::string(), uint32_t p = 0,
                       int32_t srv_id = -1, bool is_leader = false)
            : sessionId(id), address(addr), port(p), srvId(srv_id), isLeader(is_leader) {}
        uint64_t sessionId;
        std::string address;
        uint32_t port;
        int32_t srvId;  ///< -1: nothing was received.
        bool isLeader;
    };

    using func_type = std::function<ReturnCode(Type, Param*)>;

    cb_func() {}
    cb_func(func_type _func) : func_(std::move(_func)) {}

    /// `Ok` if there is no function.
    ReturnCode call(Type type, Param* param) { return func_ ? func_(type, param) : Ok; }

private:
    func_type func_;
};

}  // namespace nuraft
