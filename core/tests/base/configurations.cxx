#include <gtest/gtest.h>

#include <stdexcept>

#include "cluster_config.hxx"
#include "hex.hxx"
#include "objects.hxx"
#include "srv_config.hxx"

using namespace nuraft;

namespace {

ptr<srv_config> server_1() {
    return cs_new<srv_config>(1, "127.0.0.1:9001");
}

}  // namespace

TEST(srv_config, defaults) {
    srv_config server(1, "127.0.0.1:9001");
    EXPECT_EQ(1, server.get_id());
    EXPECT_EQ(0, server.get_dc_id());
    EXPECT_EQ("127.0.0.1:9001", server.get_endpoint());
    EXPECT_EQ("", server.get_aux());
    EXPECT_FALSE(server.is_learner());
    EXPECT_FALSE(server.is_new_joiner());
    EXPECT_EQ(srv_config::INIT_PRIORITY, server.get_priority());
    EXPECT_EQ(1, server.get_priority());
}

TEST(srv_config, all_values_and_setters) {
    srv_config server(2, 7, "host:1", "aux", true, 50);
    EXPECT_EQ(7, server.get_dc_id());
    EXPECT_EQ("aux", server.get_aux());
    EXPECT_TRUE(server.is_learner());
    EXPECT_FALSE(server.is_new_joiner());
    EXPECT_EQ(50, server.get_priority());
    server.set_learner(false);
    server.set_new_joiner(true);
    server.set_priority(0);
    EXPECT_FALSE(server.is_learner());
    EXPECT_TRUE(server.is_new_joiner());
    EXPECT_EQ(0, server.get_priority());
}

TEST(srv_config, refuses_text_that_its_encoding_cannot_carry) {
    const std::string with_nul("a\0b", 3);
    EXPECT_THROW(srv_config(1, with_nul), std::invalid_argument);
    EXPECT_THROW(srv_config(1, 0, "a:1", with_nul, false), std::invalid_argument);
}

TEST(srv_config, writes_the_documented_bytes) {
    EXPECT_EQ(vectors::o1, to_hex(*server_1()->serialize()));

    srv_config o2(2, 7, "tcp://host-b:9002", "aux!", true, 50);
    o2.set_new_joiner(true);
    EXPECT_EQ(vectors::o2, to_hex(*o2.serialize()));
    EXPECT_EQ(0u, o2.serialize()->pos());

    EXPECT_EQ(vectors::o3, to_hex(*srv_config(-5, -1, "", "", false, -3).serialize()));
}

TEST(srv_config, reads_the_documented_bytes_whatever_the_cursor) {
    ptr<buffer> bytes = from_hex(vectors::o2);
    bytes->pos(9);
    ptr<srv_config> o2 = srv_config::deserialize(*bytes);
    EXPECT_EQ(9u, bytes->pos());
    EXPECT_EQ(2, o2->get_id());
    EXPECT_EQ(7, o2->get_dc_id());
    EXPECT_EQ("tcp://host-b:9002", o2->get_endpoint());
    EXPECT_EQ("aux!", o2->get_aux());
    EXPECT_TRUE(o2->is_learner());
    EXPECT_TRUE(o2->is_new_joiner());
    EXPECT_EQ(50, o2->get_priority());

    ptr<srv_config> o3 = srv_config::deserialize(*from_hex(vectors::o3));
    EXPECT_EQ(-5, o3->get_id());
    EXPECT_EQ(-1, o3->get_dc_id());
    EXPECT_EQ("", o3->get_endpoint());
    EXPECT_EQ("", o3->get_aux());
    EXPECT_EQ(-3, o3->get_priority());
}

TEST(srv_config, unknown_flags_are_ignored) {
    ptr<buffer> bytes = from_hex(vectors::o1);
    bytes->data_begin()[24] = 0xfd;
    ptr<srv_config> server = srv_config::deserialize(*bytes);
    EXPECT_TRUE(server->is_learner());
    EXPECT_FALSE(server->is_new_joiner());
    EXPECT_EQ(1, server->serialize()->data_begin()[24]);
}

TEST(srv_config, read_from_a_serializer_leaves_its_cursor_behind_the_object) {
    ptr<buffer> bytes = from_hex("ee" + vectors::o1 + vectors::o3);
    buffer_serializer bs(bytes);
    bs.get_u8();
    EXPECT_EQ(1, srv_config::deserialize(bs)->get_id());
    EXPECT_EQ(30u, bs.pos());
    EXPECT_EQ(-5, srv_config::deserialize(bs)->get_id());
    EXPECT_EQ(bs.size(), bs.pos());
}

TEST(cluster_config, defaults) {
    cluster_config config;
    EXPECT_EQ(0u, config.get_log_idx());
    EXPECT_EQ(0u, config.get_prev_log_idx());
    EXPECT_FALSE(config.is_async_replication());
    EXPECT_EQ("", config.get_user_ctx());
    EXPECT_TRUE(config.get_servers().empty());
    EXPECT_EQ(nullptr, config.get_server(1));
    EXPECT_EQ(vectors::o5, to_hex(*config.serialize()));
}

TEST(cluster_config, new_index_makes_the_old_one_previous) {
    cluster_config config(5, 3);
    config.set_log_idx(9);
    EXPECT_EQ(9u, config.get_log_idx());
    EXPECT_EQ(5u, config.get_prev_log_idx());
}

TEST(cluster_config, finds_members_by_id) {
    cluster_config config;
    config.get_servers().push_back(server_1());
    config.get_servers().push_back(cs_new<srv_config>(2, "b:1"));
    EXPECT_EQ("b:1", config.get_server(2)->get_endpoint());
    EXPECT_EQ(nullptr, config.get_server(3));
}

TEST(cluster_config, writes_the_documented_bytes) {
    cluster_config o4(12, 7, true);
    o4.set_user_ctx("ctx");
    o4.get_servers().push_back(server_1());
    o4.get_servers().push_back(cs_new<srv_config>(2, 7, "10.0.0.2:9002", "aux!", true, 50));
    EXPECT_EQ(vectors::o4, to_hex(*o4.serialize()));
    EXPECT_EQ(0u, o4.serialize()->pos());

    cluster_config o6;
    o6.get_servers().push_back(server_1());
    EXPECT_EQ(vectors::o6, to_hex(*o6.serialize()));
}

TEST(cluster_config, reads_the_documented_bytes_whatever_the_cursor) {
    ptr<buffer> bytes = from_hex(vectors::o4);
    bytes->pos(20);
    ptr<cluster_config> o4 = cluster_config::deserialize(*bytes);
    EXPECT_EQ(20u, bytes->pos());
    EXPECT_EQ(12u, o4->get_log_idx());
    EXPECT_EQ(7u, o4->get_prev_log_idx());
    EXPECT_TRUE(o4->is_async_replication());
    EXPECT_EQ("ctx", o4->get_user_ctx());
    ASSERT_EQ(2u, o4->get_servers().size());
    EXPECT_EQ("127.0.0.1:9001", o4->get_servers().front()->get_endpoint());
    EXPECT_EQ("aux!", o4->get_server(2)->get_aux());
    EXPECT_TRUE(o4->get_server(2)->is_learner());
    EXPECT_EQ(vectors::o4, to_hex(*o4->serialize()));

    for (const std::string& hex : {vectors::o5, vectors::o6}) {
        EXPECT_EQ(hex, to_hex(*cluster_config::deserialize(*from_hex(hex))->serialize()));
    }
}

TEST(cluster_config, user_context_may_hold_any_bytes) {
    const std::string context("a\0\xff", 3);
    cluster_config config;
    config.set_user_ctx(context);
    EXPECT_EQ(context, cluster_config::deserialize(*config.serialize())->get_user_ctx());
}

TEST(cluster_config, any_flag_but_zero_is_true) {
    ptr<buffer> bytes = from_hex(vectors::o5);
    bytes->data_begin()[16] = 0x80;
    EXPECT_TRUE(cluster_config::deserialize(*bytes)->is_async_replication());
}

TEST(cluster_config, negative_count_reads_as_no_members) {
    ptr<buffer> bytes = from_hex(vectors::o5);
    bytes->pos(21);
    bytes->put(static_cast<int32>(-1));
    EXPECT_TRUE(cluster_config::deserialize(*bytes)->get_servers().empty());
}

TEST(cluster_config, count_is_not_trusted) {
    ptr<buffer> bytes = from_hex(vectors::o6);
    for (int32 count : {2, 1000, INT32_MAX}) {
        bytes->pos(21);
        bytes->put(count);
        buffer_serializer bs(bytes);
        EXPECT_THROW(cluster_config::deserialize(bs), std::overflow_error) << count;
        EXPECT_EQ(25u, bs.pos()) << "members were read before " << count << " was refused";
    }
}
