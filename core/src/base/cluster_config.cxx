#include "cluster_config.hxx"

#include <vector>

#include "base/bytes.hxx"

namespace nuraft {

namespace {

constexpr size_t smallest_server = 15;

}  // namespace

cluster_config::cluster_config(ulong log_idx, ulong prev_log_idx, bool _ec)
    : log_idx_(log_idx), prev_log_idx_(prev_log_idx), async_replication_(_ec) {}

cluster_config::~cluster_config() {}

ptr<cluster_config> cluster_config::deserialize(buffer& buf) {
    buffer_serializer bs(buf);
    return deserialize(bs);
}

ptr<cluster_config> cluster_config::deserialize(buffer_serializer& buf) {
    const ulong log_idx = buf.get_u64();
    const ulong prev_log_idx = buf.get_u64();
    const bool async_replication = buf.get_u8() != 0;
    ptr<cluster_config> config = cs_new<cluster_config>(log_idx, prev_log_idx, async_replication);
    config->set_user_ctx(buf.get_str());
    const int32 count = buf.get_i32();
    if (count > 0) check_room(count * smallest_server, buf.pos(), buf.size());
    for (int32 i = 0; i < count; ++i) config->servers_.push_back(srv_config::deserialize(buf));
    return config;
}

void cluster_config::set_log_idx(ulong log_idx) {
    prev_log_idx_ = log_idx_;
    log_idx_ = log_idx;
}

ptr<srv_config> cluster_config::get_server(int id) const {
    for (const ptr<srv_config>& server : servers_) {
        if (server->get_id() == id) return server;
    }
    return nullptr;
}

ptr<buffer> cluster_config::serialize() const {
    size_t size = 25 + user_ctx_.size();
    std::vector<ptr<buffer>> members;
    for (const ptr<srv_config>& server : servers_) {
        members.push_back(server->serialize());
        size += members.back()->size();
    }
    ptr<buffer> to = buffer::alloc(size);
    buffer_serializer bs(to);
    bs.put_u64(log_idx_);
    bs.put_u64(prev_log_idx_);
    bs.put_u8(async_replication_ ? 1 : 0);
    bs.put_str(user_ctx_);
    bs.put_i32(static_cast<int32>(members.size()));
    for (const ptr<buffer>& member : members) bs.put_buffer(*member);
    return to;
}

}  // namespace nuraft
