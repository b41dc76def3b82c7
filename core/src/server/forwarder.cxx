#include "server/forwarder.hxx"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "base/request_unsent.hxx"

namespace nuraft {

ptr<forwarder::order> forwarder::send(const ptr<req_msg>& req, const target& to) {
    auto o = cs_new<order>();
    o->req = req;
    o->to = to;
    o->result = cs_new<cmd_result<ptr<buffer>>>();
    ptr<rpc_client> client;
    bool refused = false, queued = false;
    {
        std::lock_guard<std::mutex> guard(lock_);
        open_.insert(o);
        pool& p = pools_[to.leader];
        if (closed_) {
            refused = true;
        } else if (!p.idle.empty()) {
            client = std::move(p.idle.back());
            p.idle.pop_back();
            ++p.in_use;
        } else if (p.in_use < std::max(1, to.max_connections)) {
            ++p.in_use;
        } else {
            p.queue.push_back(o);
            queued = true;
        }
    }
    if (refused) {
        finish(o, cmd_result_code::CANCELLED);
    } else if (!queued) {
        dispatch(o, client);
    }
    return o;
}

void forwarder::dispatch(ptr<order> o, ptr<rpc_client> client) {
    while (o) {
        if (client && client->is_abandoned()) client = nullptr;
        if (!client) {
            ptr<rpc_client_factory> factory;
            {
                std::lock_guard<std::mutex> guard(lock_);
                factory = factory_;
            }
            if (factory) client = factory->create_client(o->to.endpoint);
        }
        if (client) break;
        finish(o, cmd_result_code::FAILED, nullptr,
               cs_new<std::runtime_error>("no connection to leader " +
                                          std::to_string(o->to.leader) + " at " + o->to.endpoint));
        o = next_after(o->to, nullptr);
    }
    if (!o) return;

    {
        std::lock_guard<std::mutex> guard(lock_);
        if (!closed_) o->client = client;
        o->sent_at = std::chrono::steady_clock::now();
    }
    // Weak, because the client keeps the handler.
    std::weak_ptr<forwarder> weak = weak_from_this();
    std::weak_ptr<order> weak_order = o;
    rpc_handler when_done = [weak, weak_order, to = o->to](ptr<resp_msg>& resp,
                                                           ptr<rpc_exception>& error) {
        ptr<forwarder> self = weak.lock();
        if (!self) return;
        if (ptr<order> o = weak_order.lock()) return self->on_answer(o, resp, error);
        self->serve_next(to, nullptr);  // It was given up; its slot was not.
    };
    client->send(o->req, when_done, o->to.send_timeout_ms);
}

void forwarder::on_answer(const ptr<order>& o, const ptr<resp_msg>& resp,
                          const ptr<rpc_exception>& error) {
    ptr<rpc_client> client;
    {
        std::lock_guard<std::mutex> guard(lock_);
        client.swap(o->client);
    }
    const bool failed = error || !resp;
    if (failed) {
        ptr<std::exception> why = error;
        if (!why) why = cs_new<std::runtime_error>("the leader gave no answer");
        const bool unsent = dynamic_cast<const request_unsent*>(error.get()) != nullptr;
        finish(o, unsent ? cmd_result_code::NOT_LEADER : cmd_result_code::FAILED, nullptr, why);
    } else {
        finish(o, resp->get_result_code(), resp->get_ctx(), nullptr, resp->get_accepted());
    }
    serve_next(o->to, failed ? nullptr : client);
}

void forwarder::serve_next(const target& to, const ptr<rpc_client>& client) {
    if (ptr<order> next = next_after(to, client)) dispatch(next, client);
}

ptr<forwarder::order> forwarder::next_after(const target& to, const ptr<rpc_client>& client) {
    std::lock_guard<std::mutex> guard(lock_);
    if (closed_) return nullptr;
    pool& p = pools_[to.leader];
    if (!p.queue.empty()) {
        ptr<order> next = std::move(p.queue.front());
        p.queue.pop_front();
        return next;
    }
    --p.in_use;
    if (client && !client->is_abandoned()) p.idle.push_back(client);
    return nullptr;
}

void forwarder::finish(const ptr<order>& o, cmd_result_code code, ptr<buffer> value,
                       ptr<std::exception> error, bool accepted) {
    {
        std::lock_guard<std::mutex> guard(lock_);
        if (o->claimed) return;
        o->claimed = true;
        open_.erase(o);
    }
    if (accepted) o->result->accept();
    if (value) value->pos(0);
    o->result->set_result(value, error, code);
    std::lock_guard<std::mutex> guard(lock_);
    o->done = true;
    finished_.notify_all();
}

void forwarder::wait(const ptr<order>& o, int32_t timeout_ms) {
    std::unique_lock<std::mutex> guard(lock_);
    auto done = [&] { return o->done; };
    if (timeout_ms > 0 && !finished_.wait_for(guard, std::chrono::milliseconds(timeout_ms), done)) {
        auto& queue = pools_[o->to.leader].queue;
        auto found = std::find(queue.begin(), queue.end(), o);
        if (found != queue.end()) {
            queue.erase(found);
            guard.unlock();
            finish(o, cmd_result_code::TIMEOUT);
            return;
        }
    }
    finished_.wait(guard, done);
}

void forwarder::leader_is(int32_t leader) {
    std::deque<ptr<order>> refused;
    std::vector<ptr<order>> given_up;
    std::vector<ptr<rpc_client>> unused;
    {
        std::lock_guard<std::mutex> guard(lock_);
        for (auto& [id, p] : pools_) {
            if (id == leader) continue;
            refused.insert(refused.end(), p.queue.begin(), p.queue.end());
            p.queue.clear();
            unused.insert(unused.end(), p.idle.begin(), p.idle.end());
            p.idle.clear();
        }
        const auto now = std::chrono::steady_clock::now();
        bool others_owe = false;
        for (const ptr<order>& o : open_) {
            if (o->to.leader == leader || !o->client) continue;
            if (now - o->sent_at < o->to.patience) {
                others_owe = true;
                continue;
            }
            given_up.push_back(o);
            unused.push_back(std::move(o->client));  // Its end frees its slot.
            o->client = nullptr;
        }
        others_owe_ = others_owe;
    }
    for (const ptr<order>& o : refused) finish(o, cmd_result_code::NOT_LEADER);
    for (const ptr<order>& o : given_up) {
        finish(o, cmd_result_code::FAILED, nullptr,
               cs_new<std::runtime_error>("server " + std::to_string(o->to.leader) +
                                          " leads no more; the request may still commit"));
    }
}

void forwarder::close() {
    std::map<int32_t, pool> pools;
    std::set<ptr<order>> open;
    {
        std::lock_guard<std::mutex> guard(lock_);
        closed_ = true;
        factory_ = nullptr;
        pools.swap(pools_);
        open = open_;
    }
    for (const ptr<order>& o : open) {
        finish(o, cmd_result_code::CANCELLED, nullptr,
               cs_new<std::runtime_error>("the server stops; the request may still commit"));
    }
}

}  // namespace nuraft
