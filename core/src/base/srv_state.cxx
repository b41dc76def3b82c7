#include "srv_state.hxx"

#include <stdexcept>
#include <string>

#include "buffer_serializer.hxx"

namespace nuraft {

namespace {

constexpr size_t size_v0 = 12;
constexpr size_t size_v1 = 14;
constexpr size_t size_v2 = 16;
constexpr uint8_t current_version = 2;

}  // namespace

srv_state::srv_state() : srv_state(0, -1, true, false, false) {}

srv_state::srv_state(ulong term, int voted_for, bool et_allowed, bool catching_up,
                     bool receiving_snapshot)
    : term_(term),
      voted_for_(voted_for),
      election_timer_allowed_(et_allowed),
      catching_up_(catching_up),
      receiving_snapshot_(receiving_snapshot) {}

ptr<srv_state> srv_state::deserialize(buffer& buf) {
    return buf.size() > size_v0 ? deserialize_v1p(buf) : deserialize_v0(buf);
}

ptr<srv_state> srv_state::deserialize_v0(buffer& buf) {
    const ulong term = buf.get_ulong();
    const int voted_for = buf.get_int();
    return cs_new<srv_state>(term, voted_for, true, false, false);
}

ptr<srv_state> srv_state::deserialize_v1p(buffer& buf) {
    buffer_serializer bs(buf);
    const uint8_t version = bs.get_u8();
    if (version == 0) {
        throw std::runtime_error("server state of " + std::to_string(buf.size()) +
                                 " bytes has version 0, which has no version byte: it is damaged");
    }
    const ulong term = bs.get_u64();
    const int voted_for = bs.get_i32();
    const bool et_allowed = bs.get_u8() == 1;
    // Early writers of version 2 left the last two out.
    const auto optional_flag = [&] {
        return version >= 2 && bs.pos() < bs.size() && bs.get_u8() == 1;
    };
    const bool catching_up = optional_flag();
    const bool receiving_snapshot = optional_flag();
    return cs_new<srv_state>(term, voted_for, et_allowed, catching_up, receiving_snapshot);
}

void srv_state::inc_term() {
    const ulong before = term_;
    const ulong after = inc_term_func_ ? inc_term_func_(before) : before + 1;
    if (after <= before) {
        throw std::logic_error("the term after " + std::to_string(before) +
                               " must be greater, not " + std::to_string(after));
    }
    term_ = after;
}

ptr<buffer> srv_state::serialize() const {
    return serialize_v1p(current_version);
}

ptr<buffer> srv_state::serialize_v0() const {
    ptr<buffer> to = buffer::alloc(size_v0);
    buffer_serializer bs(to);
    bs.put_u64(term_);
    bs.put_i32(voted_for_);
    return to;
}

ptr<buffer> srv_state::serialize_v1p(uint8_t version) const {
    if (version == 0) throw std::invalid_argument("version 0 is written by serialize_v0");
    ptr<buffer> to = buffer::alloc(version >= 2 ? size_v2 : size_v1);
    buffer_serializer bs(to);
    bs.put_u8(version);
    bs.put_u64(term_);
    bs.put_i32(voted_for_);
    bs.put_u8(election_timer_allowed_ ? 1 : 0);
    if (version >= 2) {
        bs.put_u8(catching_up_ ? 1 : 0);
        bs.put_u8(receiving_snapshot_ ? 1 : 0);
    }
    return to;
}

}  // namespace nuraft
