#pragma once

#include <string>

#include "asio_service_options.hxx"
#include "logger.hxx"
#include "ptr.hxx"
#include "req_msg.hxx"
#include "resp_msg.hxx"

/// The program's hooks on the metadata of messages. A hook that throws has said no.
namespace nuraft {
namespace transport {

/// Has `write` make the metadata of a request, or of the answer `resp` to it; none without a hook.
/// False if the hook threw.
bool make_metadata(const std::function<std::string(const asio_service_meta_cb_params&)>& write,
                   req_msg& req, resp_msg* resp, const ptr<logger>& log, std::string& out);

/// Has `read` judge metadata that came; without a hook, and for empty metadata unless `also_empty`,
/// it is accepted unseen.
bool accept_metadata(
    const std::function<bool(const asio_service_meta_cb_params&, const std::string&)>& read,
    bool also_empty, req_msg& req, resp_msg* resp, const ptr<logger>& log,
    const std::string& metadata);

}  // namespace transport
}  // namespace nuraft
