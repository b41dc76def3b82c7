#include "server/connections.hxx"

namespace nuraft {

void connections::change(const protocol::connection_change& to) {
    // Old clients are kept until the end: dropping one may complete its requests inline.
    ptr<rpc_client> old;
    if (to.what == protocol::connection_change::close) {
        auto found = links_.find(to.peer);
        if (found == links_.end()) return;
        old = std::move(found->second.client);
        links_.erase(found);
        return;
    }
    link& l = links_[to.peer];
    if (to.what == protocol::connection_change::replace || l.endpoint != to.endpoint) {
        old = std::move(l.client);
        l.client = nullptr;
    }
    l.endpoint = to.endpoint;
    if (!l.client && factory_) l.client = factory_->create_client(l.endpoint);
}

ptr<rpc_client> connections::client(int32_t peer) {
    auto found = links_.find(peer);
    if (found == links_.end()) return nullptr;
    link& l = found->second;
    if (!l.client && factory_) l.client = factory_->create_client(l.endpoint);
    return l.client;
}

void connections::close() {
    std::map<int32_t, link> old;
    old.swap(links_);
    factory_ = nullptr;
}

}  // namespace nuraft
