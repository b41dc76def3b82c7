#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "doubles/test_network.hxx"

namespace nuraft {
namespace test {

/// A network on which nothing moves until the test says so. `send` only queues; requests and
/// answers of one pair of servers keep their order. A request to a server that is away, cut off or
/// gives no answer fails at the sender.
class stepped_network : public test_network {
public:
    ptr<rpc_client> create_client(const std::string& endpoint) override;
    /// What the server has under way is lost.
    void detach(const std::string& endpoint) override;

    /// Delivers everything that may move, and what that causes, until nothing may. At most `limit`
    /// messages; more are a failure, since servers that never come to rest are a defect.
    void run(int limit = 20000);
    /// One message round: the requests under way now, then the answers to them.
    void round();
    /// Delivers requests under way now, without their answers.
    void deliver_requests();

    /// Requests from and to this server fail at once.
    void isolate(int32 id, bool on);
    /// Requests to this server stay under way.
    void hold(int32 to, bool on);
    /// Answers from this server stay under way.
    void hold_answers(int32 from, bool on);
    /// Everything under way between the two fails at the sender `from`, as if a connection broke.
    void lose(int32 from, int32 to);

    /// Requests under way, oldest first.
    std::vector<ptr<req_msg>> under_way(int32 from, int32 to) const;
    /// All requests ever sent, since the last `forget_sent`.
    std::vector<ptr<req_msg>> sent() const;
    int sent(int32 from, msg_type type, int32 to = -1) const;
    void forget_sent();
    /// Clients ever made for this endpoint.
    int clients(const std::string& endpoint) const;

private:
    friend class stepped_client;
    struct parcel {
        int32 from;  ///< Of the request, whichever direction this travels.
        int32 to;
        std::string endpoint;
        ptr<req_msg> request;
        rpc_handler when_done;
        bool is_answer;
        ptr<resp_msg> answer;  ///< Null: the request failed.
    };

    void send(const std::string& endpoint, const ptr<req_msg>& req, const rpc_handler& when_done);
    bool may_move(const parcel& p) const;
    /// The oldest that may move, of this kind only if it is wanted so.
    bool take(parcel& taken, bool answers, bool requests);
    void move(parcel& p);

    mutable std::mutex lock_;
    std::deque<parcel> under_way_;  ///< Guarded by `lock_`, as all below.
    std::set<int32> isolated_, held_, held_answers_;
    std::vector<ptr<req_msg>> sent_;
    std::map<std::string, int> clients_;
    uint64_t next_id_ = 1;
};

}  // namespace test
}  // namespace nuraft
