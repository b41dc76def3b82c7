#include "network.hxx"

#include <algorithm>

#include "cluster.hxx"

namespace sim {

using namespace nuraft;

ptr<req_msg> copy_request(req_msg& msg) {
    auto copy =
        cs_new<req_msg>(msg.get_term(), msg.get_type(), msg.get_src(), msg.get_dst(),
                        msg.get_last_log_term(), msg.get_last_log_idx(), msg.get_commit_idx());
    for (const ptr<log_entry>& entry : msg.log_entries()) {
        copy->log_entries().push_back(copy_entry(*entry));
    }
    copy->set_extra_flags(msg.get_extra_flags());
    return copy;
}

ptr<resp_msg> copy_response(const resp_msg& msg) {
    auto copy = cs_new<resp_msg>(msg.get_term(), msg.get_type(), msg.get_src(), msg.get_dst(),
                                 msg.get_next_idx(), msg.get_accepted());
    if (msg.get_ctx()) copy->set_ctx(buffer::clone(*msg.get_ctx()));
    copy->set_next_batch_size_hint_in_bytes(msg.get_next_batch_size_hint_in_bytes());
    copy->set_result_code(msg.get_result_code());
    copy->set_extra_flags(msg.get_extra_flags());
    return copy;
}

void network::change(int32_t client, const protocol::connection_change& what) {
    handle& current = open_[{client, what.peer}];
    if (current && what.what == protocol::connection_change::open && !current->broken) {
        fail("server ", client, " opens a second connection to ", what.peer);
    }
    if (current && !current->broken && world_.chance().coin()) {
        break_later(current, world_.chance().between(0, 20 * ms));
    }
    current.reset();
    if (what.what == protocol::connection_change::close) return;
    current = std::make_shared<connection>();
    current->client = client;
    current->server = what.peer;
    current->client_life = world_.server(client).life();
}

const network::connection* network::open_connection(int32_t client, int32_t server) const {
    auto found = open_.find({client, server});
    return found == open_.end() ? nullptr : found->second.get();
}

bool network::survives(const handle& c, int32_t from, int32_t to) {
    if (c->mute || c->broken) return false;
    if (!is_blocked(from, to) && !world_.chance().chance(loss_)) return true;
    lose(c);
    return false;
}

void network::lose(const handle& c) {
    dice& d = world_.chance();
    if (d.chance(world_.black_holes())) {
        c->mute = true;
        if (d.coin()) break_later(c, d.between(2000, 15000) * ms);
    } else {
        break_later(c, d.between(1, 600) * ms);
    }
}

void network::break_later(const handle& c, time_us delay) {
    world_.events().after(delay, [this, c] { break_now(c); });
}

void network::break_now(const handle& c) {
    if (c->broken) return;
    c->broken = true;
    std::deque<connection::request> unanswered;
    unanswered.swap(c->unanswered);
    for (const connection::request& r : unanswered) {
        sim_server& client = world_.server(c->client);
        client.post(c->client_life, protocol::inputs::send_failed{r.number, false});
    }
}

time_us network::transit(time_us& last) {
    const time_us now = world_.events().now();
    const bool spike = world_.chance().chance(world_.rate(world_.opts().spikes));
    const time_us longest = spike ? 2000 * ms : world_.network_delay();
    const time_us arrival = std::max(last, now + world_.chance().between(0, longest));
    last = arrival;
    return arrival - now;
}

void network::send(int32_t client, const protocol::outgoing& request) {
    handle c = open_[{client, request.peer}];
    if (!c) fail("server ", client, " sends to ", request.peer, " without a connection");
    if (c->broken) {
        const time_us soon = world_.chance().between(0, 5 * ms);
        const uint64_t life = c->client_life;
        const uint64_t number = request.number;
        world_.events().after(soon, [this, client, life, number] {
            world_.server(client).post(life, protocol::inputs::send_failed{number, false});
        });
        return;
    }
    c->unanswered.push_back({request.number, request.msg});
    if (!survives(c, client, request.peer)) return;
    c->to_server.push_back({request.number, copy_request(*request.msg)});
    if (world_.chance().chance(world_.rate(world_.opts().duplicates))) {
        deliver_again_later(c, copy_request(*request.msg));
    }
    world_.events().after(transit(c->last_to_server), [this, c] { deliver_request(c); });
}

void network::deliver_request(const handle& c) {
    if (c->broken || c->to_server.empty()) return;
    sim_server& server = world_.server(c->server);
    const time_us stall = server.stalled_for();
    if (stall > 0) {
        world_.events().after(stall, [this, c] { deliver_request(c); });
        return;
    }
    connection::request r = c->to_server.front();
    c->to_server.pop_front();
    if (!survives(c, c->client, c->server)) return;
    if (!server.running() || (c->server_life != 0 && c->server_life != server.life())) {
        break_later(c, world_.chance().between(0, 50 * ms));
        return;
    }
    c->server_life = server.life();
    c->at_server.push_back({r.number, nullptr, false});
    server.receive(c, r.number, r.msg);
}

void network::deliver_again_later(const handle& c, const ptr<req_msg>& msg) {
    const int32_t from = c->client;
    const int32_t to = c->server;
    world_.events().after(world_.chance().between(0, 3000 * ms), [this, from, to, msg] {
        sim_server& server = world_.server(to);
        if (!server.running() || server.stalled_for() > 0 || is_blocked(from, to)) return;
        auto nobody = std::make_shared<connection>();
        nobody->broken = true;
        ++world_.count().duplicates;
        server.receive(nobody, 0, msg);
    });
}

void network::answer(const handle& c, uint64_t number, const ptr<resp_msg>& msg) {
    for (connection::answer& a : c->at_server) {
        if (a.number != number) continue;
        a.ready = true;
        a.msg = msg ? copy_response(*msg) : nullptr;
    }
    flush_answers(c);
}

void network::flush_answers(const handle& c) {
    while (!c->at_server.empty() && c->at_server.front().ready && !c->broken) {
        connection::answer a = c->at_server.front();
        c->at_server.pop_front();
        if (!a.msg) {
            break_later(c, world_.chance().between(0, 10 * ms));
            c->mute = true;
            return;
        }
        if (!survives(c, c->server, c->client)) return;
        c->to_client.push_back(a);
        world_.events().after(transit(c->last_to_client), [this, c] { deliver_answer(c); });
    }
}

void network::deliver_answer(const handle& c) {
    if (c->broken || c->to_client.empty()) return;
    sim_server& client = world_.server(c->client);
    const time_us stall = client.stalled_for();
    if (stall > 0) {
        world_.events().after(stall, [this, c] { deliver_answer(c); });
        return;
    }
    connection::answer a = c->to_client.front();
    c->to_client.pop_front();
    auto same = [&](const connection::request& r) { return r.number == a.number; };
    c->unanswered.erase(std::remove_if(c->unanswered.begin(), c->unanswered.end(), same),
                        c->unanswered.end());
    client.post(c->client_life, protocol::inputs::response{a.number, a.msg});
}

void network::server_down(int32_t id) {
    for (auto& [ends, c] : open_) {
        if (!c) continue;
        if (ends.first == id) {
            c->broken = true;
            c.reset();
        } else if (ends.second == id && !c->unanswered.empty()) {
            break_later(c, world_.chance().between(0, 200 * ms));
        }
    }
}

}  // namespace sim
