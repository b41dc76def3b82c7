#include "server/impl.hxx"

// The program's event callback (behaviour 35). Never called under `lock_`.

namespace nuraft {

CbReturnCode raft_server::impl::event(cb_func::Type type, int32_t peer, void* ctx) {
    cb_func::Param param(id_, known_leader_, peer, ctx);
    return call_back(type, &param);
}

CbReturnCode raft_server::impl::call_back(cb_func::Type type, cb_func::Param* param) {
    // A callback that throws has decided nothing: go on as without it.
    std::string error;
    try {
        return callback_.call(type, param);
    } catch (const std::exception& e) {
        error = e.what();
    } catch (...) {
        error = "not a std::exception";
    }
    SERVER_LOG(log_, log_error, "callback for event %d threw: %s", static_cast<int>(type),
               error.c_str());
    return cb_func::Ok;
}

}  // namespace nuraft
