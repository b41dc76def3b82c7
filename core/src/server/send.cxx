#include "server/impl.hxx"

// Requests to other servers, and what becomes of them.

namespace nuraft {

using namespace protocol;

namespace {

/// The requests of the replication path, which the program is told of.
bool is_replication(msg_type type) {
    return type == msg_type::append_entries_request || type == msg_type::install_snapshot_request ||
           type == msg_type::custom_notification_request;
}

}  // namespace

void raft_server::impl::send(outgoing& o) {
    if (stopping_) return;
    const bool replication = is_replication(o.msg->get_type());
    if (replication && event(cb_func::RequestAppendEntries, o.peer) == cb_func::ReturnNull) {
        return enter(inputs::send_failed{o.number, true});
    }
    ptr<rpc_client> client = connections_.client(o.peer);
    if (!client) {
        SERVER_LOG(log_, log_debug, "no connection to server %d", o.peer);
        return enter(inputs::send_failed{o.number, false});
    }

    // Weak: a client may keep the handler as long as it likes.
    std::weak_ptr<impl> weak = weak_from_this();
    rpc_handler when_done = [weak, number = o.number](ptr<resp_msg>& resp,
                                                      ptr<rpc_exception>& error) {
        if (ptr<impl> self = weak.lock()) self->on_sent(number, resp, error);
    };
    const bool outer = std::exchange(sending_, true);
    client->send(o.msg, when_done);
    sending_ = outer;
    if (replication) event(cb_func::SentAppendEntriesReq, o.peer, o.msg.get());
}

void raft_server::impl::on_sent(uint64_t number, const ptr<resp_msg>& resp,
                                const ptr<rpc_exception>& error) {
    if (stopping_) return;
    if (!resp) {
        SERVER_LOG(log_, log_debug, "request %lu: %s", number,
                   error ? error->what() : "no answer, and no reason given");
        return enter(inputs::send_failed{number, false});
    }
    if (resp->get_type() == msg_type::append_entries_response) {
        resp->set_peer(shown_peer(resp->get_src()));
        event(cb_func::ReceivedAppendEntriesResp, resp->get_src(), resp.get());
    }
    enter(inputs::response{number, resp});
}

}  // namespace nuraft
