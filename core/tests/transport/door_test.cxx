// A listener whose peers mean no good: what they can take of its memory and its places.
#include <gtest/gtest.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <thread>

#include "transport/doubles.hxx"
#include "transport/raw_frames.hxx"
#include "transport/raw_socket.hxx"

namespace nuraft {
namespace transport {

namespace {

constexpr size_t kib = 1024;

/// A listener with limits of its own, and a thread to run it.
class limited {
public:
    explicit limited(const door_limits& limits)
        : core_(std::make_shared<service_core>(asio_service_options(), log,
                                               std::vector<asio::io_context*>{&context_})),
          door_(listener::open(core_, 0, log, limits)),
          worker_([this] { context_.run(); }) {
        door_->listen_to(sink);
    }
    ~limited() {
        core_->stop();
        keep_running_.reset();
        worker_.join();
    }
    limited(const limited&) = delete;

    raw_socket connect() const { return raw_socket::connected_to(door_->port()); }
    /// One that has delivered a request.
    raw_socket connect_member() const {
        raw_socket made = connect();
        EXPECT_TRUE(answers(made));
        return made;
    }
    uint16_t port() const { return door_->port(); }
    const door_policy& policy() const { return door_->policy(); }

    /// Does the listener still serve this connection?
    static bool answers(raw_socket& peer) {
        peer.send(heartbeat_frame(1));
        return read_answer(peer) == 2;
    }

    const ptr<memory_logger> log = cs_new<memory_logger>();
    const std::shared_ptr<fake_sink> sink = std::make_shared<fake_sink>();

private:
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> keep_running_ =
        asio::make_work_guard(context_);
    std::shared_ptr<service_core> core_;
    std::shared_ptr<listener> door_;
    std::thread worker_;
};

/// Waits until `bytes` are taken of `budget`.
testing::AssertionResult taken(const frame_budget& budget, size_t bytes) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (budget.taken() != bytes) {
        if (std::chrono::steady_clock::now() >= deadline)
            return testing::AssertionFailure()
                   << budget.taken() << " bytes are taken, not " << bytes;
        std::this_thread::yield();
    }
    return testing::AssertionSuccess();
}

/// Announces as much as there may be, and sends `size` bytes of it.
void begin_endless_frame(raw_socket& peer, size_t size) {
    peer.send(sealed_header(static_cast<int32>(max_body_size)));
    peer.send(std::vector<byte>(size));
}

ptr<buffer> frame_with_payload(size_t size) {
    ptr<req_msg> req = heartbeat(1);
    ptr<buffer> payload = buffer::alloc(size);
    std::fill_n(payload->data_begin(), size, byte{1});
    req->log_entries().push_back(cs_new<log_entry>(1, payload));
    return frame_of(*req);
}

}  // namespace

TEST(door, strangers_give_way_oldest_first_and_keep_no_member_out) {
    door_limits limits;
    limits.sessions_max = 4;
    limited at(limits);
    raw_socket member = at.connect_member();
    std::vector<raw_socket> strangers;
    for (int i = 0; i < 3; ++i) strangers.push_back(at.connect());
    raw_socket late = at.connect_member();
    EXPECT_TRUE(strangers[0].closed_by_peer());
    // Those two places are all that any number of strangers can get.
    for (int i = 0; i < 50; ++i) strangers.push_back(at.connect());
    EXPECT_TRUE(strangers[50].closed_by_peer());
    EXPECT_TRUE(limited::answers(member));
    EXPECT_TRUE(limited::answers(late));
    EXPECT_TRUE(limited::answers(strangers.back()));
}

TEST(door, when_all_have_spoken_the_longest_silent_gives_way) {
    door_limits limits;
    limits.sessions_max = 3;
    limited at(limits);
    raw_socket first = at.connect_member();
    raw_socket second = at.connect_member();
    raw_socket third = at.connect_member();
    EXPECT_TRUE(limited::answers(first));
    raw_socket fourth = at.connect_member();
    EXPECT_TRUE(second.closed_by_peer());
    EXPECT_TRUE(limited::answers(first));
    EXPECT_TRUE(limited::answers(third));
    EXPECT_TRUE(limited::answers(fourth));
}

TEST(door, memory_follows_what_arrives_and_not_what_is_announced) {
    limited at{door_limits()};
    std::vector<raw_socket> liars;
    for (int i = 0; i < 8; ++i) {
        liars.push_back(at.connect());
        begin_endless_frame(liars.back(), frame_body::first_piece_size);
    }
    EXPECT_TRUE(taken(at.policy().strangers, 8 * 2 * frame_body::first_piece_size));
    EXPECT_EQ(at.policy().members.taken(), 0u);
    liars.clear();
    EXPECT_TRUE(taken(at.policy().strangers, 0));
}

TEST(door, strangers_share_a_budget_of_their_own) {
    door_limits limits;
    limits.strangers_bytes_max = 256 * kib;
    limited at(limits);
    raw_socket member = at.connect_member();
    std::vector<raw_socket> strangers;
    for (int i = 0; i < 2; ++i) {
        strangers.push_back(at.connect());
        begin_endless_frame(strangers.back(), 64 * kib);
    }
    ASSERT_TRUE(taken(at.policy().strangers, 256 * kib));
    raw_socket third = at.connect();
    begin_endless_frame(third, 64 * kib);
    EXPECT_TRUE(third.closed_by_peer());
    EXPECT_TRUE(at.log->wait_for("no memory for 131072 bytes of a frame of 1073741824"));

    // Small frames of anybody, and large ones of members, are taken all the same.
    raw_socket fourth = at.connect();
    EXPECT_TRUE(limited::answers(fourth));
    EXPECT_TRUE(member.send(frame_with_payload(3 << 20)));
    EXPECT_EQ(read_answer(member), 2u);
    EXPECT_TRUE(taken(at.policy().members, 0));

    strangers.pop_back();
    ASSERT_TRUE(taken(at.policy().strangers, 128 * kib));
    raw_socket fifth = at.connect();
    begin_endless_frame(fifth, 64 * kib);
    EXPECT_TRUE(taken(at.policy().strangers, 256 * kib));
}

TEST(door, requests_count_until_they_are_answered) {
    door_limits limits;
    limits.members_bytes_max = 1024 * kib;
    limited at(limits);
    at.sink->hold();
    raw_socket first = at.connect();
    first.send(frame_with_payload(600 * kib));
    ASSERT_TRUE(at.sink->wait_for_held(1));
    EXPECT_GE(at.policy().members.taken(), 600 * kib);
    raw_socket second = at.connect();
    second.send(frame_with_payload(600 * kib));
    EXPECT_TRUE(second.closed_by_peer());

    at.sink->held[0].done(fake_sink::echo(*at.sink->held[0].req));
    EXPECT_EQ(read_answer(first), 2u);
    ASSERT_TRUE(taken(at.policy().members, 0));
    raw_socket third = at.connect();
    third.send(frame_with_payload(600 * kib));
    EXPECT_TRUE(at.sink->wait_for_held(2));
}

TEST(door, a_frame_that_is_not_continued_ends_its_connection) {
    door_limits limits;
    limits.stall_ms = 20;
    limited at(limits);
    raw_socket silent = at.connect();
    raw_socket idle = at.connect_member();
    raw_socket stalled = at.connect();
    stalled.send(sealed_header(10));
    stalled.send(std::vector<byte>(3));
    EXPECT_TRUE(stalled.closed_by_peer());
    EXPECT_TRUE(at.log->wait_for("a frame was not continued within 20 ms"));
    // Between frames there is no such limit.
    EXPECT_TRUE(limited::answers(silent));
    EXPECT_TRUE(limited::answers(idle));
    // And a second frame that stalls is noticed as well.
    idle.send(sealed_header(10));
    EXPECT_TRUE(idle.closed_by_peer());
}

#ifdef __linux__
TEST(door, connections_are_probed_for_a_peer_that_is_gone) {
    limited at{door_limits()};
    raw_socket peer = at.connect_member();
    std::ostringstream wanted;
    wanted << std::hex << std::uppercase << std::setfill('0') << ":" << std::setw(4) << at.port()
           << " 0100007F:" << std::setw(4) << peer.port() << " ";
    std::ifstream table("/proc/net/tcp");
    std::string line;
    while (std::getline(table, line) && line.find(wanted.str()) == std::string::npos) {
    }
    // Number, two addresses, state, queues, timer: 02 is the one of keep-alive.
    std::istringstream fields(line);
    std::string number, local, remote, state, queues, timer;
    fields >> number >> local >> remote >> state >> queues >> timer;
    EXPECT_EQ(timer.substr(0, 3), "02:") << line;
}
#endif

}  // namespace transport
}  // namespace nuraft
