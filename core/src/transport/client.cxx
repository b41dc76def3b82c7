#include "transport/client.hxx"

#include <atomic>

namespace nuraft {
namespace transport {

namespace {
// The one thing that all services of a process share: a client's id is unique in the process, so
// that the answers of a replaced client are told from those of its successor.
std::atomic<uint64_t> last_client_id{0};
}  // namespace

client::client(std::shared_ptr<service_core> core, const endpoint_name& peer)
    : id_(++last_client_id), connection_(client_connection::make(std::move(core), peer)) {}

client::~client() {
    connection_->close();
}

void client::send(ptr<req_msg>& req, rpc_handler& when_done, uint64_t send_timeout_ms) {
    connection_->send(req, when_done, send_timeout_ms);
}

}  // namespace transport
}  // namespace nuraft
