#pragma once

// Conventions of the glue between NuRaft's C++ API and Rust. They hold for all headers here.
//
// 1. Only NuRaft's public API is used (what api.md calls Tier 1), so these files compile
//    unchanged against any implementation of it.
// 2. Ownership is in the types: a `rust::Box` or `std::unique_ptr` argument moves, a
//    `std::shared_ptr` is shared, a reference or a slice is lent for the call.
// 3. Bytes cross as slices, uncopied. They are copied on purpose in three places: into a
//    `nuraft::buffer` where the core wants to keep them (a proposal, an entry read back, a piece
//    of a snapshot, an outcome), into the log on append, and into the answer of a proposal.
// 4. No exception crosses the bridge. A C++ function that can throw is declared `Result` in
//    `src/ffi.rs` and cxx turns the exception into an error; all others are `noexcept`. A Rust
//    function that can fail returns an error, which arrives here as `rust::Error` and is turned
//    into what NuRaft's interface has for failure before the core sees it. Rust functions called
//    from here do not panic.
// 5. Threads: the core calls the subclasses from any of its threads, often with its locks held.
//    They never wait for an asynchronous runtime, and nothing that they call calls the server
//    back, but for the answer to a proposal: it lets the next one be made. Rust calls `node` and
//    `append_notifier` from any thread and holds no lock that another call into Rust needs.
// 6. A proposal, of one command or many, crosses with a number, its ticket, and so does its answer:
//    the outcome of the last command, or the reason why there is none. Only the first answer to a
//    ticket counts. Those that never get one end with the server, which means that the outcomes are
//    unknown.
// 7. Order of shutdown: snapshot writer, news of the log, core threads, log, and then the rest
//    (`raft::Node::shutdown` in Rust).

#include <cstdint>
#include <libnuraft/nuraft.hxx>
#include <memory>
#include <mutex>

#include "raft3d/append_notifier.hxx"
#include "raft3d/proposer.hxx"
#include "raft3d/tls_credentials.hxx"
#include "rust/cxx.h"

namespace raft3d {

// Defined in src/ffi.rs.
struct Guards;
enum class ChangeVerdict : uint8_t;
struct Member;
struct NodeOptions;
struct NodeView;
struct Program;
struct ReadCompletion;

/// One running Raft server. All methods may be called from any thread, also after `shutdown`.
class node {
public:
    /// Starts the server: listens, joins the election. Throws if it cannot.
    node(const NodeOptions& options, Program program, Guards guards,
         std::shared_ptr<append_notifier> notifier);

    /// Shuts down if that has not been done.
    ~node();

    node(const node&) = delete;
    node& operator=(const node&) = delete;

    /// What proposes to this server, as long as the node.
    const proposer& get_proposer() const noexcept;

    /// Asks at which index a linearizable read may be answered, here or the leader. `completion` is
    /// used on a core thread or, if the answer is known at once, on this one. NuRaft cannot tell,
    /// and the log has to be asked instead.
    void read_index(rust::Box<ReadCompletion> completion) const noexcept;

    /// What this server knows of itself and of the cluster.
    NodeView view() const;

    /// Starts a snapshot of what is applied. Returns the index it covers, 0 if one is under way
    /// or none is needed. Waits for the entry being applied.
    uint64_t create_snapshot() const;

    /// Begins to take in a server, as a learner. It must be running and waiting for that.
    ChangeVerdict add_learner(int32_t id, rust::Str endpoint) const;

    /// Begins to remove a member, which may be dead. This server itself is never removed.
    ChangeVerdict remove_member(int32_t id) const;

    /// Whether this server leads, and still serves a server that was removed, so that it learns of
    /// that.
    bool is_leaving(int32_t id) const;

    /// Begins to let a learner vote.
    ChangeVerdict make_voter(int32_t id) const;

    /// If this server leads, hands the leadership over: to `successor`, or to the fittest if that
    /// is negative.
    void yield_leadership(int32_t successor) const;

    /// Stops the server and joins its threads. Proposals without an outcome complete as unknown.
    void shutdown() const noexcept;

private:
    const std::shared_ptr<proposer> proposer_;
    nuraft::ptr<nuraft::raft_server> server_;
    std::shared_ptr<append_notifier> notifier_;
    nuraft::ptr<nuraft::logger> logger_;
    const std::shared_ptr<const tls_credentials> tls_;  // outlives the launcher's service
    mutable nuraft::raft_launcher launcher_;
    mutable std::once_flag shut_down_;
};

/// Starts a server; see `node::node`.
std::unique_ptr<node> start_node(const NodeOptions& options, Program program, Guards guards,
                                 std::shared_ptr<append_notifier> notifier);

/// The encoded configuration of a cluster that consists of `members`, before its first entry.
rust::Vec<uint8_t> encode_config(rust::Slice<const Member> members);

/// The encoded description of a snapshot that begins a cluster of `members`: its last entry is
/// `index`, above 0, of `term`.
rust::Vec<uint8_t> encode_snapshot(uint64_t index, uint64_t term,
                                   rust::Slice<const Member> members);

/// The encoded term and vote of a server in `term` that has voted for nobody.
rust::Vec<uint8_t> encode_term(uint64_t term);

/// The members in an encoded configuration. Throws if the bytes are none.
rust::Vec<Member> decode_config(rust::Slice<const uint8_t> bytes);

}  // namespace raft3d
