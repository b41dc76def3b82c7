#include "protocol/append_appendix.hxx"

#include "buffer_serializer.hxx"

namespace nuraft {
namespace protocol {

namespace {

constexpr uint8_t version = 0;
constexpr size_t order_size = 2;
constexpr size_t index_size = 8;

}  // namespace

ptr<buffer> append_appendix::serialize() const {
    ptr<buffer> ctx = buffer::alloc(order_size + (what == applied_index ? index_size : 0));
    buffer_serializer bs(ctx);
    bs.put_u8(version);
    bs.put_u8(what);
    if (what == applied_index) bs.put_u64(applied);
    return ctx;
}

append_appendix append_appendix::deserialize(const ptr<buffer>& ctx) {
    append_appendix found;
    if (!ctx || ctx->size() < order_size) return found;
    buffer_serializer bs(*ctx);
    if (bs.get_u8() != version) return found;
    const uint8_t what = bs.get_u8();
    if (what > applied_index) return found;
    found.what = static_cast<order>(what);
    // Too short for its index: the order stands, the index is unknown.
    if (what == applied_index && ctx->size() >= order_size + index_size)
        found.applied = bs.get_u64();
    return found;
}

}  // namespace protocol
}  // namespace nuraft
