#pragma once

#include <string>

#include "basic_types.hxx"
#include "buffer.hxx"
#include "buffer_serializer.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

/// One member of a cluster. Treat as immutable once it is part of a configuration in use.
class srv_config {
    __nocopy__(srv_config);

public:
    const static int32 INIT_PRIORITY = 1;

    /// Both throw `std::invalid_argument` if a text holds a NUL, which the encoding cannot carry.
    srv_config(int32 id, const std::string& endpoint);
    srv_config(int32 id, int32 dc_id, const std::string& endpoint, const std::string& aux,
               bool learner, int32 priority = INIT_PRIORITY);

    /// From byte 0. Throws `std::overflow_error` if the bytes end too early.
    static ptr<srv_config> deserialize(buffer& buf);
    /// From the serializer's cursor.
    static ptr<srv_config> deserialize(buffer_serializer& bs);

    /// Positive.
    int32 get_id() const { return id_; }
    /// Data centre; 0 if unused.
    int32 get_dc_id() const { return dc_id_; }
    /// `host:port` or `scheme://host:port`.
    const std::string& get_endpoint() const { return endpoint_; }
    /// Text of the application.
    const std::string& get_aux() const { return aux_; }

    /// A learner receives the log, never votes and is in no quorum.
    bool is_learner() const { return learner_; }
    void set_learner(bool to) { learner_ = to; }
    /// A new joiner is in the configuration but still catching up, and does not vote.
    bool is_new_joiner() const { return new_joiner_; }
    void set_new_joiner(bool to) { new_joiner_ = to; }
    /// Higher wins elections; 0: never leads, except for a while when nobody else can.
    int32 get_priority() const { return priority_; }
    void set_priority(const int32 new_val) { priority_ = new_val; }

    /// i32 id, i32 data centre, endpoint and NUL, aux and NUL, u8 flags, i32 priority.
    ptr<buffer> serialize() const;

private:
    int32 id_;
    int32 dc_id_;
    std::string endpoint_;
    std::string aux_;
    bool learner_;
    bool new_joiner_;
    int32 priority_;
};

}  // namespace nuraft
