// The launcher where it starts nothing. What it starts is tested with whole clusters.
#include "launcher.hxx"

#include <gtest/gtest.h>

#include "transport/listener.hxx"

namespace nuraft {
namespace transport {

namespace {

ptr<raft_server> launch_on(raft_launcher& launcher, int port) {
    asio_service_options options;
    options.thread_pool_size_ = 1;
    return launcher.init(nullptr, nullptr, nullptr, port, options, raft_params());
}

}  // namespace

TEST(launcher, a_port_that_cannot_be_had_gives_null) {
    asio_service_options options;
    options.thread_pool_size_ = 1;
    asio_service other(options);
    ptr<logger> none;
    ptr<rpc_listener> taken = other.create_rpc_listener(0, none);
    ASSERT_NE(taken, nullptr);

    raft_launcher launcher;
    EXPECT_EQ(launch_on(launcher, bound_port(taken)), nullptr);
    EXPECT_EQ(launch_on(launcher, -1), nullptr);
    EXPECT_EQ(launch_on(launcher, 65536), nullptr);
    EXPECT_EQ(launcher.get_raft_server(), nullptr);
    EXPECT_EQ(launcher.get_asio_service(), nullptr);
    EXPECT_EQ(launcher.get_rpc_listener(), nullptr);
}

TEST(launcher, has_nothing_to_shut_down_before_it_started) {
    raft_launcher launcher;
    EXPECT_FALSE(launcher.shutdown());
}

}  // namespace transport
}  // namespace nuraft
