#pragma once

#include <list>
#include <string>

#include "basic_types.hxx"
#include "buffer.hxx"
#include "buffer_serializer.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "srv_config.hxx"

namespace nuraft {

/// The members of a cluster, as of one log index. Treat as immutable once it is in use.
class cluster_config {
    __nocopy__(cluster_config);

public:
    /// `_ec`: asynchronous replication.
    cluster_config(ulong log_idx = 0L, ulong prev_log_idx = 0L, bool _ec = false);
    ~cluster_config();

    /// From byte 0. Throws `std::overflow_error` if the bytes end too early.
    static ptr<cluster_config> deserialize(buffer& buf);
    /// From the serializer's cursor.
    static ptr<cluster_config> deserialize(buffer_serializer& buf);

    /// Index of the entry that holds this configuration; 0 for an initial one.
    ulong get_log_idx() const { return log_idx_; }
    /// The old index becomes the previous one.
    void set_log_idx(ulong log_idx);
    ulong get_prev_log_idx() const { return prev_log_idx_; }

    const std::list<ptr<srv_config>>& get_servers() const { return servers_; }
    std::list<ptr<srv_config>>& get_servers() { return servers_; }
    /// Null if there is no such member.
    ptr<srv_config> get_server(int id) const;

    /// Clients are answered when their entry is appended, not when it is committed.
    bool is_async_replication() const { return async_replication_; }
    void set_async_replication(bool flag) { async_replication_ = flag; }

    /// Bytes of the application that travel with the configuration.
    std::string get_user_ctx() const { return user_ctx_; }
    void set_user_ctx(const std::string& src) { user_ctx_ = src; }

    /// u64 index, u64 previous index, u8 asynchronous, u32 length and user context, i32 count, then
    /// the members.
    ptr<buffer> serialize() const;

private:
    ulong log_idx_;
    ulong prev_log_idx_;
    bool async_replication_;
    std::string user_ctx_;
    std::list<ptr<srv_config>> servers_;
};

}  // namespace nuraft
