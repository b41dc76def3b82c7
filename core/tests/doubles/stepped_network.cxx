#include "doubles/stepped_network.hxx"

#include <gtest/gtest.h>

#include <algorithm>

namespace nuraft {
namespace test {

class stepped_client : public rpc_client {
public:
    stepped_client(stepped_network& network, const std::string& endpoint, uint64_t id)
        : network_(network), endpoint_(endpoint), id_(id) {}

    void send(ptr<req_msg>& req, rpc_handler& when_done, uint64_t) override {
        network_.send(endpoint_, req, when_done);
    }
    uint64_t get_id() const override { return id_; }
    bool is_abandoned() const override { return false; }

private:
    stepped_network& network_;  ///< Outlives the servers, and they their clients.
    const std::string endpoint_;
    const uint64_t id_;
};

ptr<rpc_client> stepped_network::create_client(const std::string& endpoint) {
    std::lock_guard<std::mutex> guard(lock_);
    ++clients_[endpoint];
    return cs_new<stepped_client>(*this, endpoint, next_id_++);
}

void stepped_network::detach(const std::string& endpoint) {
    test_network::detach(endpoint);
    std::lock_guard<std::mutex> guard(lock_);
    const std::string prefix = "S";
    under_way_.erase(std::remove_if(under_way_.begin(), under_way_.end(),
                                    [&](const parcel& p) {
                                        return prefix + std::to_string(p.from) == endpoint;
                                    }),
                     under_way_.end());
}

void stepped_network::send(const std::string& endpoint, const ptr<req_msg>& req,
                           const rpc_handler& when_done) {
    std::lock_guard<std::mutex> guard(lock_);
    sent_.push_back(rebuilt(*req));
    under_way_.push_back(
        {req->get_src(), req->get_dst(), endpoint, req, when_done, false, nullptr});
}

bool stepped_network::may_move(const parcel& p) const {
    const bool cut_off = isolated_.count(p.from) || isolated_.count(p.to);
    if (p.is_answer) return cut_off || !held_answers_.count(p.to);
    return cut_off || !held_.count(p.to);
}

bool stepped_network::take(parcel& taken, bool answers, bool requests) {
    std::lock_guard<std::mutex> guard(lock_);
    for (auto p = under_way_.begin(); p != under_way_.end(); ++p) {
        if (!(p->is_answer ? answers : requests) || !may_move(*p)) continue;
        taken = *p;
        under_way_.erase(p);
        if (isolated_.count(taken.from) || isolated_.count(taken.to)) {
            taken.is_answer = true;
            taken.answer = nullptr;
        }
        return true;
    }
    return false;
}

void stepped_network::move(parcel& p) {
    if (p.is_answer) return complete(p.request, p.answer, p.when_done);
    p.answer = deliver(p.endpoint, *p.request);
    p.is_answer = true;
    std::lock_guard<std::mutex> guard(lock_);
    under_way_.push_back(p);
}

void stepped_network::run(int limit) {
    parcel p;
    while (take(p, true, true)) {
        ASSERT_GT(limit--, 0) << "the servers do not come to rest";
        move(p);
    }
}

void stepped_network::deliver_requests() {
    std::vector<parcel> now;
    parcel p;
    while (take(p, false, true)) now.push_back(p);
    for (parcel& each : now) move(each);
}

void stepped_network::round() {
    deliver_requests();
    std::vector<parcel> now;
    parcel p;
    while (take(p, true, false)) now.push_back(p);
    for (parcel& each : now) move(each);
}

void stepped_network::isolate(int32 id, bool on) {
    std::lock_guard<std::mutex> guard(lock_);
    on ? (void)isolated_.insert(id) : (void)isolated_.erase(id);
}

void stepped_network::hold(int32 to, bool on) {
    std::lock_guard<std::mutex> guard(lock_);
    on ? (void)held_.insert(to) : (void)held_.erase(to);
}

void stepped_network::hold_answers(int32 from, bool on) {
    std::lock_guard<std::mutex> guard(lock_);
    on ? (void)held_answers_.insert(from) : (void)held_answers_.erase(from);
}

void stepped_network::lose(int32 from, int32 to) {
    std::vector<parcel> lost;
    {
        std::lock_guard<std::mutex> guard(lock_);
        for (auto p = under_way_.begin(); p != under_way_.end();) {
            if (p->from == from && p->to == to) {
                lost.push_back(*p);
                p = under_way_.erase(p);
            } else {
                ++p;
            }
        }
    }
    for (parcel& p : lost) complete(p.request, nullptr, p.when_done);
}

std::vector<ptr<req_msg>> stepped_network::under_way(int32 from, int32 to) const {
    std::lock_guard<std::mutex> guard(lock_);
    std::vector<ptr<req_msg>> found;
    for (const parcel& p : under_way_) {
        if (p.from == from && p.to == to && !p.is_answer) found.push_back(p.request);
    }
    return found;
}

std::vector<ptr<req_msg>> stepped_network::sent() const {
    std::lock_guard<std::mutex> guard(lock_);
    return sent_;
}

int stepped_network::sent(int32 from, msg_type type, int32 to) const {
    std::lock_guard<std::mutex> guard(lock_);
    return static_cast<int>(std::count_if(sent_.begin(), sent_.end(), [&](const ptr<req_msg>& m) {
        return m->get_src() == from && m->get_type() == type && (to == -1 || m->get_dst() == to);
    }));
}

void stepped_network::forget_sent() {
    std::lock_guard<std::mutex> guard(lock_);
    sent_.clear();
}

int stepped_network::clients(const std::string& endpoint) const {
    std::lock_guard<std::mutex> guard(lock_);
    auto found = clients_.find(endpoint);
    return found == clients_.end() ? 0 : found->second;
}

}  // namespace test
}  // namespace nuraft
