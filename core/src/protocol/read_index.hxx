#pragma once

#include <cstdint>
#include <optional>

#include "ptr.hxx"
#include "req_msg.hxx"

namespace nuraft {

class buffer;

namespace protocol {

/// A follower's question for the leader's read index travels as a custom notification (wire 4.9) of
/// a type that NuRaft does not know. A leader of NuRaft, or an older one of ours, answers it as any
/// notification, without a context: so the answer's context tells whether the question was
/// understood.
constexpr int read_index_notification = 4;

/// The question, from one server to the leader.
ptr<req_msg> read_index_question(int32_t from, int32_t to);

/// The context of an answer. No index: the server does not lead, or not any more.
ptr<buffer> read_index_context(const std::optional<uint64_t>& index);

/// What a context says.
struct read_index_reply {
    bool understood = false;
    std::optional<uint64_t> index;
};
/// Null, another version, or cut short: not understood.
read_index_reply read_index_reply_in(const ptr<buffer>& context);

}  // namespace protocol
}  // namespace nuraft
