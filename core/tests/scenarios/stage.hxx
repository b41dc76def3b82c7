#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "protocol/raft.hxx"
#include "sim/disk.hxx"

namespace scenarios {

/// A cluster that does nothing by itself: messages wait until they are delivered, timers until they
/// are told to fire. What each server takes in, and what it wants done, goes into a trace.
///
/// Disks store and sync at once unless they are slow. Messages between servers that are cut off
/// from each other wait; a connection that breaks loses what is under way on it, and its client
/// hears of each request that stays without an answer.
class stage {
public:
    using id = int32_t;

    /// Parameters of all servers that are started from now on.
    nuraft::raft_params params;

    stage();
    /// Members of one cluster that starts with them.
    void start_members(const std::vector<id>& ids);
    /// The same; the first leads already, and its first entry is committed everywhere.
    void begin(const std::vector<id>& ids);
    /// A cluster of one that does not campaign and waits to be invited.
    void start_outsider(id server);
    void crash(id server);
    void restart(id server);

    void wait(int32_t duration_ms) { now_ += duration_ms; }
    void election_timeout(id server);
    /// Fires one heartbeat timer of a leader, or all of them.
    void heartbeat(id server, std::optional<id> peer);

    /// Messages from one server to another; nothing named: between any.
    struct route {
        std::optional<id> from, to;
    };
    /// Delivers what is under way, oldest first, and what comes of it, until nothing is or `limit`
    /// messages were delivered.
    void deliver(const route& which, int32_t limit);
    void cut(id one, id other);
    void heal() { cuts_.clear(); }
    /// The connection that `client` dialled to `server` is reset.
    void break_connection(id client, id server);

    void make_slow(id server, bool slow);
    void store(id server);
    void sync(id server);
    void save_objects(id server);
    void create_snapshot(id server, uint64_t keep);

    void propose(id server, const std::vector<std::string>& payloads);
    /// The program answers commit questions with that index more than what was asked.
    void answer_commits_with(id server, int64_t more);
    void input(id server, const nuraft::protocol::input& in);
    /// A request of somebody who is not on the stage, or is not what he says.
    void forge(id to, const nuraft::ptr<nuraft::req_msg>& msg);

    uint64_t next_number() { return ++next_number_; }
    /// One line for the log of a server.
    void show_log(id server);
    /// Everything since the last call; servers that changed are described at the end.
    std::string take_trace();

private:
    struct actor {
        id server = 0;
        sim::disk disk;
        nuraft::protocol::settings settings;
        std::unique_ptr<nuraft::protocol::raft> node;  ///< Null: it is down.
        uint64_t life = 0;
        bool passive = false;
        bool slow = false;
        int64_t more_than_asked = 0;
        std::deque<nuraft::protocol::save_object> saves;
        uint64_t objects = 0;  ///< Saved of the snapshot that comes in; gone with a crash.
        std::set<id> beats;    ///< Peers whose heartbeat timer is armed.
        std::string shown;     ///< As described last.
    };
    struct flight {
        id from, to;
        uint64_t number;  ///< As the client knows the request.
        uint64_t life;    ///< Of the client, when it sent the request.
        nuraft::ptr<nuraft::req_msg> request;
        nuraft::ptr<nuraft::resp_msg> answer;
    };
    struct question {
        id client;
        uint64_t number;
        uint64_t life;
    };

    actor& at(id server);
    actor& running(id server);
    void add(id server, const nuraft::ptr<nuraft::cluster_config>& config, bool passive);
    void boot(actor& a);
    void step(actor& a, const nuraft::protocol::input& in);
    void execute(actor& a, nuraft::protocol::effects& out);
    void reply(actor& a, const nuraft::protocol::reply& r);
    void arrive(const flight& f);
    void fail_request(id client, uint64_t number, uint64_t life);
    void install(actor& a, const nuraft::protocol::save_object& s);
    void use_disk(actor& a);
    void finish_follow_ups();
    void later(actor& a, std::function<void(actor&)> what);
    bool is_cut(id one, id other) const { return cuts_.count({one, other}) > 0; }

    std::map<id, actor> actors_;
    nuraft::protocol::time_ms now_ = 1000;
    std::deque<flight> under_way_;
    std::map<std::pair<id, uint64_t>, question> asked_;  ///< By server and its number.
    std::map<std::pair<id, uint64_t>, id> waiting_;      ///< Client and number, to the server.
    std::set<std::pair<id, id>> cuts_;
    std::deque<std::function<void()>> follow_ups_;
    uint64_t next_number_ = 0;
    std::ostringstream trace_;
};

}  // namespace scenarios
