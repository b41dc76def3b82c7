#include "srv_config.hxx"

#include <stdexcept>

namespace nuraft {

namespace {

constexpr uint8_t learner_flag = 0x1;
constexpr uint8_t new_joiner_flag = 0x2;

const std::string& without_nul(const std::string& text, const char* what) {
    if (text.find('\0') != std::string::npos) {
        throw std::invalid_argument(std::string(what) + " of a server holds a NUL");
    }
    return text;
}

}  // namespace

const int32 srv_config::INIT_PRIORITY;

srv_config::srv_config(int32 id, const std::string& endpoint)
    : srv_config(id, 0, endpoint, std::string(), false) {}

srv_config::srv_config(int32 id, int32 dc_id, const std::string& endpoint, const std::string& aux,
                       bool learner, int32 priority)
    : id_(id),
      dc_id_(dc_id),
      endpoint_(without_nul(endpoint, "endpoint")),
      aux_(without_nul(aux, "aux text")),
      learner_(learner),
      new_joiner_(false),
      priority_(priority) {}

ptr<srv_config> srv_config::deserialize(buffer& buf) {
    buffer_serializer bs(buf);
    return deserialize(bs);
}

ptr<srv_config> srv_config::deserialize(buffer_serializer& bs) {
    const int32 id = bs.get_i32();
    const int32 dc_id = bs.get_i32();
    const std::string endpoint = bs.get_cstr();
    const std::string aux = bs.get_cstr();
    const uint8_t flags = bs.get_u8();
    const int32 priority = bs.get_i32();
    ptr<srv_config> server =
        cs_new<srv_config>(id, dc_id, endpoint, aux, (flags & learner_flag) != 0, priority);
    server->set_new_joiner((flags & new_joiner_flag) != 0);
    return server;
}

ptr<buffer> srv_config::serialize() const {
    ptr<buffer> to = buffer::alloc(15 + endpoint_.size() + aux_.size());
    buffer_serializer bs(to);
    bs.put_i32(id_);
    bs.put_i32(dc_id_);
    bs.put_cstr(endpoint_.c_str());
    bs.put_cstr(aux_.c_str());
    bs.put_u8((learner_ ? learner_flag : 0) | (new_joiner_ ? new_joiner_flag : 0));
    bs.put_i32(priority_);
    return to;
}

}  // namespace nuraft
