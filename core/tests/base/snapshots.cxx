#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>

#include "hex.hxx"
#include "objects.hxx"
#include "snapshot.hxx"
#include "snapshot_sync_ctx.hxx"
#include "snapshot_sync_req.hxx"

using namespace nuraft;

namespace {

ptr<cluster_config> config_7() {
    ptr<cluster_config> config = cs_new<cluster_config>(7, 3);
    config->get_servers().push_back(cs_new<srv_config>(1, "127.0.0.1:9001"));
    return config;
}

ptr<snapshot> snapshot_100() {
    return cs_new<snapshot>(100, 4, config_7());
}

}  // namespace

TEST(snapshot, defaults_and_setters) {
    ptr<cluster_config> config = config_7();
    snapshot s(100, 4, config);
    EXPECT_EQ(100u, s.get_last_log_idx());
    EXPECT_EQ(4u, s.get_last_log_term());
    EXPECT_EQ(config, s.get_last_config());
    EXPECT_EQ(0u, s.size());
    EXPECT_EQ(snapshot::logical_object, s.get_type());
    s.set_size(4096);
    s.set_type(snapshot::raw_binary);
    EXPECT_EQ(4096u, s.size());
    EXPECT_EQ(snapshot::raw_binary, s.get_type());
}

TEST(snapshot, writes_the_documented_bytes) {
    EXPECT_EQ(vectors::o11, to_hex(*snapshot_100()->serialize()));
    EXPECT_EQ(0u, snapshot_100()->serialize()->pos());
    snapshot raw(100, 4, config_7(), 4096, snapshot::raw_binary);
    EXPECT_EQ(vectors::o12, to_hex(*raw.serialize()));
}

TEST(snapshot, reads_the_documented_bytes_whatever_the_cursor) {
    ptr<buffer> bytes = from_hex(vectors::o12);
    bytes->pos(30);
    ptr<snapshot> raw = snapshot::deserialize(*bytes);
    EXPECT_EQ(30u, bytes->pos());
    EXPECT_EQ(snapshot::raw_binary, raw->get_type());
    EXPECT_EQ(4096u, raw->size());
    EXPECT_EQ(100u, raw->get_last_log_idx());
    EXPECT_EQ(4u, raw->get_last_log_term());
    EXPECT_EQ(7u, raw->get_last_config()->get_log_idx());
    EXPECT_EQ(vectors::o11, to_hex(*snapshot::deserialize(*from_hex(vectors::o11))->serialize()));
}

TEST(snapshot, unknown_types_are_refused) {
    ptr<buffer> bytes = from_hex(vectors::o11);
    for (int type : {0, 3, 255}) {
        bytes->data_begin()[0] = static_cast<byte>(type);
        EXPECT_THROW(snapshot::deserialize(*bytes), std::runtime_error) << type;
    }
}

TEST(snapshot, without_configuration_cannot_be_written) {
    EXPECT_THROW(snapshot(1, 1, nullptr).serialize(), std::runtime_error);
}

TEST(snapshot_sync_req, writes_the_documented_bytes) {
    snapshot_sync_req first(snapshot_100(), 0, from_text("OBJ"), false);
    EXPECT_EQ(vectors::o13, to_hex(*first.serialize()));
    EXPECT_EQ(0u, first.serialize()->pos());
    snapshot_sync_req last(snapshot_100(), 9, buffer::alloc(0), true);
    EXPECT_EQ(vectors::o14, to_hex(*last.serialize()));
    snapshot_sync_req no_data(snapshot_100(), 9, nullptr, true);
    EXPECT_EQ(vectors::o14, to_hex(*no_data.serialize()));
}

TEST(snapshot_sync_req, writes_its_data_from_the_cursor) {
    ptr<buffer> data = from_text("..OBJ");
    data->pos(2);
    EXPECT_EQ(vectors::o13, to_hex(*snapshot_sync_req(snapshot_100(), 0, data, false).serialize()));
    EXPECT_EQ(2u, data->pos());
}

TEST(snapshot_sync_req, reads_the_documented_bytes) {
    ptr<buffer> bytes = from_hex(vectors::o13);
    bytes->pos(30);
    ptr<snapshot_sync_req> first = snapshot_sync_req::deserialize(*bytes);
    EXPECT_EQ(30u, bytes->pos());
    EXPECT_EQ(100u, first->get_snapshot().get_last_log_idx());
    EXPECT_EQ(0u, first->get_offset());
    EXPECT_FALSE(first->is_done());
    EXPECT_EQ("OBJ", to_text(first->get_data()));
    EXPECT_EQ(0u, first->get_data().pos());

    ptr<snapshot_sync_req> last = snapshot_sync_req::deserialize(*from_hex(vectors::o14));
    EXPECT_EQ(9u, last->get_offset());
    EXPECT_TRUE(last->is_done());
    EXPECT_EQ(0u, last->get_data().size());
    last->set_offset(10);
    EXPECT_EQ(10u, last->get_offset());
}

TEST(snapshot_sync_req, only_one_means_done) {
    ptr<buffer> bytes = from_hex(vectors::o14);
    bytes->data_begin()[87] = 2;
    EXPECT_FALSE(snapshot_sync_req::deserialize(*bytes)->is_done());
}

TEST(snapshot_sync_req, needs_a_snapshot) {
    EXPECT_THROW(snapshot_sync_req(nullptr, 0, nullptr, false), std::invalid_argument);
}

TEST(snapshot_sync_ctx, offset_and_object_are_one_and_only_a_new_offset_restarts_the_clock) {
    ptr<snapshot> s = snapshot_100();
    snapshot_sync_ctx ctx(s, 3, 5000, 8);
    EXPECT_EQ(s, ctx.get_snapshot());
    EXPECT_EQ(8u, ctx.get_offset());
    EXPECT_EQ(8u, ctx.get_obj_idx());
    EXPECT_EQ(5000u * 1000, ctx.get_timer().get_duration_us());

    ctx.get_timer().reset(-60000);
    ctx.set_offset(8);
    EXPECT_TRUE(ctx.get_timer().timeout());
    ctx.set_obj_idx(9);
    EXPECT_EQ(9u, ctx.get_offset());
    EXPECT_TRUE(ctx.get_timer().timeout());
    ctx.set_offset(10);
    EXPECT_LT(ctx.get_timer().get_sec(), 60u);
}

TEST(snapshot_sync_ctx, keeps_the_state_machines_context) {
    snapshot_sync_ctx ctx(snapshot_100(), 3, 1000);
    EXPECT_EQ(nullptr, ctx.get_user_snp_ctx());
    int something = 0;
    ctx.set_user_snp_ctx(&something);
    EXPECT_EQ(&something, ctx.get_user_snp_ctx());
    ctx.get_user_snp_ctx() = nullptr;
    EXPECT_EQ(nullptr, ctx.get_user_snp_ctx());
}
