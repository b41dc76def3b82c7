#include "transport/metadata_hooks.hxx"

#include "transport/log.hxx"

namespace nuraft {
namespace transport {

namespace {

/// Whatever the message, hooks are told of the request.
asio_service_meta_cb_params params(req_msg& req, resp_msg* resp) {
    return asio_service_meta_cb_params(req.get_type(), req.get_src(), req.get_dst(), req.get_term(),
                                       req.get_last_log_term(), req.get_last_log_idx(),
                                       req.get_commit_idx(), &req, resp);
}

}  // namespace

bool make_metadata(const std::function<std::string(const asio_service_meta_cb_params&)>& write,
                   req_msg& req, resp_msg* resp, const ptr<logger>& log, std::string& out) {
    return !write || guarded(log, "a metadata hook", [&] { out = write(params(req, resp)); });
}

bool accept_metadata(
    const std::function<bool(const asio_service_meta_cb_params&, const std::string&)>& read,
    bool also_empty, req_msg& req, resp_msg* resp, const ptr<logger>& log,
    const std::string& metadata) {
    if (!read || (metadata.empty() && !also_empty)) return true;
    bool accepted = false;
    guarded(log, "a metadata hook", [&] { accepted = read(params(req, resp), metadata); });
    return accepted;
}

}  // namespace transport
}  // namespace nuraft
