#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "async.hxx"
#include "basic_types.hxx"
#include "buffer.hxx"
#include "msg_base.hxx"
#include "ptr.hxx"

namespace nuraft {

class peer;
class resp_msg;

using resp_cb = std::function<ptr<resp_msg>(ptr<resp_msg>)>;
using resp_async_cb = std::function<ptr<cmd_result<ptr<buffer>>>()>;

/// The answer to a request.
class resp_msg : public msg_base {
    __nocopy__(resp_msg);

public:
    /// Extra flag: the follower declares itself down.
    static constexpr uint64_t SELF_MARK_DOWN = 0x1;

    resp_msg(ulong term, msg_type type, int32 src, int32 dst, ulong next_idx = 0L,
             bool accepted = false)
        : msg_base(term, type, src, dst),
          next_idx_(next_idx),
          next_batch_size_hint_in_bytes_(0),
          accepted_(accepted),
          result_code_(cmd_result_code::OK),
          extra_flags_(0) {}

    /// The index that the responder wants next; of a snapshot, the object or byte.
    ulong get_next_idx() const { return next_idx_; }

    /// 0: no preference; negative: nothing for now.
    int64 get_next_batch_size_hint_in_bytes() const { return next_batch_size_hint_in_bytes_; }
    void set_next_batch_size_hint_in_bytes(int64 bytes) { next_batch_size_hint_in_bytes_ = bytes; }

    bool get_accepted() const { return accepted_; }
    void accept(ulong next_idx) {
        next_idx_ = next_idx;
        accepted_ = true;
    }

    /// Null and empty differ.
    void set_ctx(ptr<buffer> src) { ctx_ = std::move(src); }
    ptr<buffer> get_ctx() const { return ctx_; }

    /// Local; filled in by the requester.
    void set_peer(ptr<peer> peer) { peer_ = std::move(peer); }
    ptr<peer> get_peer() const { return peer_; }

    /// Completion that may block.
    void set_cb(resp_cb _func) { cb_ = std::move(_func); }
    bool has_cb() const { return static_cast<bool>(cb_); }
    ptr<resp_msg> call_cb(ptr<resp_msg>& _resp) { return cb_(_resp); }

    /// Completion through a result.
    void set_async_cb(resp_async_cb _func) { async_cb_ = std::move(_func); }
    bool has_async_cb() const { return static_cast<bool>(async_cb_); }
    ptr<cmd_result<ptr<buffer>>> call_async_cb() { return async_cb_(); }

    /// On the wire for client, add-server and remove-server requests only.
    void set_result_code(cmd_result_code rc) { result_code_ = rc; }
    cmd_result_code get_result_code() const { return result_code_; }

    void set_extra_flags(uint64_t flags) { extra_flags_ = flags; }
    uint64_t get_extra_flags() const { return extra_flags_; }

private:
    ulong next_idx_;
    int64 next_batch_size_hint_in_bytes_;
    bool accepted_;
    ptr<buffer> ctx_;
    ptr<peer> peer_;
    resp_cb cb_;
    resp_async_cb async_cb_;
    cmd_result_code result_code_;
    uint64_t extra_flags_;
};

}  // namespace nuraft
