#pragma once

#include "basic_types.hxx"
#include "msg_type.hxx"
#include "pp_util.hxx"

namespace nuraft {

/// What requests and responses have in common.
class msg_base {
    __nocopy__(msg_base);

public:
    msg_base(ulong term, msg_type type, int src, int dst)
        : term_(term), type_(type), src_(src), dst_(dst) {}
    virtual ~msg_base() {}

    ulong get_term() const { return term_; }
    msg_type get_type() const { return type_; }
    /// Server ids.
    int32 get_src() const { return src_; }
    int32 get_dst() const { return dst_; }

private:
    ulong term_;
    msg_type type_;
    int32 src_;
    int32 dst_;
};

}  // namespace nuraft
