#include "server/impl.hxx"
#include "snapshot_sync_req.hxx"

// Requests of other servers: the program's say before the protocol sees them, and the replies.

namespace nuraft {

using namespace protocol;

namespace {

bool is_client_type(msg_type type) {
    return type == msg_type::client_request || type == msg_type::add_server_request ||
           type == msg_type::remove_server_request;
}

/// One that lives as long as anybody needs it. The entries are shared.
ptr<req_msg> copy_of(req_msg& req) {
    auto copy =
        cs_new<req_msg>(req.get_term(), req.get_type(), req.get_src(), req.get_dst(),
                        req.get_last_log_term(), req.get_last_log_idx(), req.get_commit_idx());
    copy->log_entries() = req.log_entries();
    copy->set_extra_flags(req.get_extra_flags());
    return copy;
}

}  // namespace

void raft_server::impl::process_async(const ptr<req_msg>& req, const response_handler& done) {
    if (event(cb_func::ProcessReq, -1, req.get()) == cb_func::ReturnNull || stopping_) {
        return done(nullptr);
    }
    const msg_type type = req->get_type();
    if (req->get_dst() != id_ && !(is_client_type(type) && req->get_dst() == 0)) {
        SERVER_LOG(log_, log_warning, "dropped a %s from server %d: it is for server %d, not %d",
                   msg_type_to_string(type).c_str(), req->get_src(), req->get_dst(), id_);
        return done(nullptr);
    }
    if (type == msg_type::client_request) return receive_client_request(req, done);
    if (is_client_type(type)) return done(answer_admin_request(req));
    receive(req, done);
}

ptr<resp_msg> raft_server::impl::process(req_msg& req, const req_ext_params& ext) {
    ptr<req_msg> copy = copy_of(req);
    if (req.get_type() == msg_type::client_request) {
        if (event(cb_func::ProcessReq, -1, copy.get()) == cb_func::ReturnNull || stopping_) {
            return nullptr;
        }
        return process_client_request(copy, ext);
    }

    struct answer_slot {
        std::mutex lock;
        std::condition_variable arrived;
        bool here = false;
        ptr<resp_msg> msg;
    };
    auto slot = cs_new<answer_slot>();
    process_async(copy, [slot](const ptr<resp_msg>& resp) {
        std::lock_guard<std::mutex> guard(slot->lock);
        slot->msg = resp;
        slot->here = true;
        slot->arrived.notify_all();
    });
    std::unique_lock<std::mutex> guard(slot->lock);
    if (drainer_.load() == std::this_thread::get_id()) {
        // A transport delivers from within our own `send`. The reply is in our queue; carry on
        // with that until it comes. Anywhere else the caller would wait for himself.
        while (!slot->here && sending_) {
            guard.unlock();
            const bool more = pump_once();
            guard.lock();
            if (!more) break;
        }
        return slot->msg;
    }
    slot->arrived.wait(guard, [&] { return slot->here; });
    return slot->msg;
}

void raft_server::impl::receive(const ptr<req_msg>& req, const response_handler& done) {
    bool declined = false;
    if (!asks_program_first(*req, declined)) return done(nullptr);
    std::unique_lock<std::recursive_mutex> guard(lock_);
    if (stopping_) {
        guard.unlock();
        return done(nullptr);
    }
    const uint64_t number = next_number_++;
    waiting_[number] = done;
    step_and_queue(inputs::request{number, req, declined});
    drain(guard);
}

/// False: drop the request. The protocol is asked first whether it would accept the request, so
/// that the program hears of valid ones only. Between this question and the step another request
/// may get in; then the protocol decides on its own.
bool raft_server::impl::asks_program_first(const req_msg& req, bool& declined) {
    req_msg& msg = const_cast<req_msg&>(req);
    const msg_type type = req.get_type();
    if (type == msg_type::append_entries_request) {
        if (event(cb_func::ReceivedAppendEntriesReq, req.get_src(), &msg) != cb_func::Ok) {
            return false;
        }
        bool acceptable;
        {
            std::lock_guard<std::recursive_mutex> guard(lock_);
            acceptable = raft_->would_accept(req, now());
        }
        declined =
            acceptable && event(cb_func::GotAppendEntryReqFromLeader, -1, &msg) != cb_func::Ok;
    } else if (type == msg_type::install_snapshot_request) {
        bool acceptable;
        {
            std::lock_guard<std::recursive_mutex> guard(lock_);
            acceptable = raft_->would_store(req);
        }
        if (!acceptable) return true;
        ptr<snapshot_sync_req> object =
            snapshot_sync_req::deserialize(msg.log_entries().front()->get_buf());
        declined = event(cb_func::SaveSnapshot, -1, object.get()) == cb_func::ReturnNull;
    }
    return true;
}

void raft_server::impl::reply(const protocol::reply& r) {
    const response_handler done = take_waiting(r.request);
    if (!done) return;  // The server stopped meanwhile.
    ptr<resp_msg> resp = r.msg;
    if (resp && resp->get_type() == msg_type::append_entries_response) {
        if (resp->get_next_batch_size_hint_in_bytes() == 0) {
            resp->set_next_batch_size_hint_in_bytes(
                state_machine_->get_next_batch_size_hint_in_bytes());
        }
        if (event(cb_func::SentAppendEntriesResp, resp->get_dst(), resp.get()) != cb_func::Ok) {
            resp = nullptr;
        }
    }
    done(resp);
}

raft_server::impl::response_handler raft_server::impl::take_waiting(uint64_t number) {
    std::lock_guard<std::recursive_mutex> guard(lock_);
    auto found = waiting_.find(number);
    if (found == waiting_.end()) return nullptr;
    response_handler done = std::move(found->second);
    waiting_.erase(found);
    return done;
}

}  // namespace nuraft
