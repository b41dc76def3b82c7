#include "transport/frame_parts.hxx"

namespace nuraft {
namespace transport {

namespace {
constexpr size_t length_size = 4;
}

size_t metadata_section_size(const std::string& metadata) {
    return metadata.empty() ? 0 : length_size + metadata.size();
}

void put_metadata(byte_writer& to, const std::string& metadata) {
    if (metadata.empty()) return;
    to.put(static_cast<uint32_t>(metadata.size()));
    to.put_bytes(metadata.data(), metadata.size());
}

verdict get_metadata(byte_reader& from, std::string& out) {
    if (from.left() < length_size)
        return {fault::metadata, "no room for the length of the metadata: " +
                                     std::to_string(from.left()) + " bytes left"};
    const uint32_t size = from.get<uint32_t>();
    if (size > from.left())
        return {fault::metadata, "metadata of " + std::to_string(size) + " bytes, " +
                                     std::to_string(from.left()) + " are left"};
    out.assign(reinterpret_cast<const char*>(from.take(size)), size);
    return {};
}

verdict check_type(byte number, msg_type& out) {
    // A number may be converted to the enumeration only once it is known to be in it.
    if (number < request_vote_request || number > custom_notification_response)
        return {fault::type, "no message type has the number " + std::to_string(number)};
    out = static_cast<msg_type>(number);
    return {};
}

verdict check_body_size(uint32_t announced, size_t& out) {
    if (announced > max_body_size)
        return {fault::body_size, "body size " + std::to_string(static_cast<int32>(announced)) +
                                      " is outside of 0.." + std::to_string(max_body_size)};
    out = announced;
    return {};
}

verdict check_flags(uint32_t flags) {
    const uint32_t unknown = flags & ~flag::all;
    if (unknown != 0) return {fault::flags, "unknown flags " + std::to_string(unknown)};
    return {};
}

verdict check_sendable(const char* frame, size_t body_size) {
    if (body_size > max_body_size)
        return {fault::body_size, std::string(frame) + " body of " + std::to_string(body_size) +
                                      " bytes is above the limit of " +
                                      std::to_string(max_body_size) + "; send less at once"};
    return {};
}

verdict check_complete(size_t announced, size_t given) {
    if (announced != given)
        return {fault::body_truncated, "the header announces a body of " +
                                           std::to_string(announced) + " bytes, got " +
                                           std::to_string(given)};
    return {};
}

}  // namespace transport
}  // namespace nuraft
