#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "dice.hxx"
#include "event_queue.hxx"
#include "protocol/effects.hxx"

namespace sim {

class cluster;

/// Requests and answers between servers, as over one TCP connection for each (client, server):
/// in order on a connection, each request completed by an answer or by an error. A lost message
/// breaks its connection: everything unanswered on it fails, oldest first, after a while; or, as
/// through a router that forgot the connection, nothing is ever heard again. A request may also
/// arrive a second time, out of order and with nobody waiting for the answer, as from a sender that
/// tried again on another connection.
class network {
public:
    struct connection {
        int32_t client = -1;
        int32_t server = -1;
        uint64_t client_life = 0;
        uint64_t server_life = 0;  ///< 0: nothing was delivered yet.
        bool broken = false;
        bool mute = false;  ///< Nothing is heard on it any more.

        struct request {
            uint64_t number;
            nuraft::ptr<nuraft::req_msg> msg;
        };
        struct answer {
            uint64_t number;
            nuraft::ptr<nuraft::resp_msg> msg;
            bool ready;
        };
        std::deque<request> unanswered;  ///< In the client's eyes.
        std::deque<request> to_server;
        std::deque<answer> at_server;  ///< Delivered there, in order; answers leave in order.
        std::deque<answer> to_client;
        time_us last_to_server = 0;
        time_us last_to_client = 0;
    };
    using handle = std::shared_ptr<connection>;

    explicit network(cluster& world) : world_(world) {}

    void change(int32_t client, const nuraft::protocol::connection_change& what);
    void send(int32_t client, const nuraft::protocol::outgoing& request);
    /// The answer of `request` (number as the client knows it); null: close the session.
    void answer(const handle& c, uint64_t number, const nuraft::ptr<nuraft::resp_msg>& msg);
    /// A server stopped: its own connections vanish, those to it break.
    void server_down(int32_t id);

    void block(int32_t from, int32_t to) { blocked_.insert({from, to}); }
    void heal() { blocked_.clear(); }
    bool is_blocked(int32_t from, int32_t to) const { return blocked_.count({from, to}) > 0; }
    void set_loss(int32_t loss) { loss_ = loss; }

    /// Null: none is open.
    const connection* open_connection(int32_t client, int32_t server) const;

private:
    bool survives(const handle& c, int32_t from, int32_t to);
    void lose(const handle& c);
    void break_later(const handle& c, time_us delay);
    void break_now(const handle& c);
    void deliver_request(const handle& c);
    void deliver_again_later(const handle& c, const nuraft::ptr<nuraft::req_msg>& msg);
    void deliver_answer(const handle& c);
    void flush_answers(const handle& c);
    time_us transit(time_us& last);

    cluster& world_;
    std::map<std::pair<int32_t, int32_t>, handle> open_;
    std::set<std::pair<int32_t, int32_t>> blocked_;
    int32_t loss_ = 0;
};

nuraft::ptr<nuraft::req_msg> copy_request(nuraft::req_msg& msg);
nuraft::ptr<nuraft::resp_msg> copy_response(const nuraft::resp_msg& msg);

}  // namespace sim
