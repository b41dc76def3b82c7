#include "buffer_serializer.hxx"
#include "server/impl.hxx"

// Membership, priorities, leadership and settings.

namespace nuraft {

using namespace protocol;

namespace {

using command_result = cmd_result<ptr<buffer>>;

ptr<command_result> complete(bool accepted, cmd_result_code code) {
    ptr<buffer> nothing;
    return cs_new<command_result>(nothing, accepted, code);
}

ptr<command_result> complete(const std::optional<answer>& a) {
    return a ? complete(a->accepted, a->code) : complete(false, cmd_result_code::BAD_REQUEST);
}

ptr<req_msg> make_request(msg_type type, int32_t from, int32_t to, const ptr<buffer>& body) {
    auto req = cs_new<req_msg>(0, type, from, to, 0, 0, 0);
    req->log_entries().push_back(cs_new<log_entry>(0, body, log_val_type::cluster_server));
    return req;
}

/// The one body of an add- or remove-server request; null if it has another form. Only the first
/// kind looks at the entry's type (wire 3.7, 3.8).
ptr<buffer> body_of(req_msg& req) {
    if (req.log_entries().size() != 1) return nullptr;
    const ptr<log_entry>& e = req.log_entries().front();
    const bool typed = req.get_type() == msg_type::add_server_request;
    if (!e || (typed && e->get_val_type() != log_val_type::cluster_server)) return nullptr;
    return e->get_buf_ptr();
}

}  // namespace

std::optional<answer> raft_server::impl::ask_add(const ptr<srv_config>& server) {
    const uint64_t number = take_number();
    return ask(inputs::add_server{number, server}, number);
}

std::optional<answer> raft_server::impl::ask_remove(int32_t server) {
    const uint64_t number = take_number();
    return ask(inputs::remove_server{number, server}, number);
}

ptr<raft_server::impl::command_result> raft_server::impl::add_server(
    const ptr<srv_config>& server) {
    const int32_t leader = view().leader;
    if (stopping_) return complete(false, cmd_result_code::BAD_REQUEST);
    if (leader == -1) return complete(false, cmd_result_code::NOT_LEADER);
    ptr<req_msg> req = make_request(msg_type::add_server_request, id_, leader, server->serialize());
    if (leader != id_) return forward(req);
    if (event(cb_func::ProcessReq, -1, req.get()) == cb_func::ReturnNull) {
        return complete(false, cmd_result_code::BAD_REQUEST);
    }
    return complete(ask_add(server));
}

ptr<raft_server::impl::command_result> raft_server::impl::remove_server(int32_t server) {
    const int32_t leader = view().leader;
    if (stopping_) return complete(false, cmd_result_code::BAD_REQUEST);
    if (leader == -1) return complete(false, cmd_result_code::NOT_LEADER);
    ptr<buffer> body = buffer::alloc(sizeof(int32));
    body->put(static_cast<int32>(server));
    body->pos(0);
    ptr<req_msg> req = make_request(msg_type::remove_server_request, id_, leader, body);
    if (leader != id_) return forward(req);
    if (event(cb_func::ProcessReq, -1, req.get()) == cb_func::ReturnNull) {
        return complete(false, cmd_result_code::BAD_REQUEST);
    }
    return complete(ask_remove(server));
}

ptr<resp_msg> raft_server::impl::answer_admin_request(const ptr<req_msg>& req) {
    std::optional<answer> a;
    try {
        ptr<buffer> body = body_of(*req);
        if (!body) {
            // Answered as malformed below.
        } else if (req->get_type() == msg_type::add_server_request) {
            a = ask_add(srv_config::deserialize(*body));
        } else if (body->size() == sizeof(int32)) {
            a = ask_remove(buffer_serializer(*body).get_i32());
        }
    } catch (const std::exception& e) {
        SERVER_LOG(log_, log_warning, "a malformed %s from server %d: %s",
                   msg_type_to_string(req->get_type()).c_str(), req->get_src(), e.what());
        return nullptr;  // The frame lied: its connection ends (wire 2.9).
    }
    ptr<resp_msg> resp = make_response(*req, a ? a->code : cmd_result_code::BAD_REQUEST);
    if (a && a->accepted) resp->accept(resp->get_next_idx());
    return resp;
}

ptr<raft_server::impl::command_result> raft_server::impl::set_learner(int32_t server, bool to) {
    const uint64_t number = take_number();
    const std::optional<answer> a = ask(inputs::set_learner{number, server, to}, number);
    return complete(false, a ? a->code : cmd_result_code::BAD_REQUEST);
}

raft_server::PrioritySetResult raft_server::impl::set_priority(int32_t server, int32_t priority,
                                                               bool broadcast_when_leader,
                                                               bool broadcast_always) {
    const uint64_t number = take_number();
    const std::optional<answer> a =
        ask(inputs::set_priority{number, server, priority, broadcast_when_leader, broadcast_always},
            number);
    return a ? a->priority : PrioritySetResult::IGNORED;
}

void raft_server::impl::yield_leadership(bool immediate, int32_t successor) {
    int32_t heir = successor;
    {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        if (!raft_->can_yield()) return;
        if (heir == -1 && !immediate) heir = raft_->best_successor(now());
    }
    if (program_lets_go(heir)) enter(inputs::yield{immediate, heir});
}

bool raft_server::impl::request_leadership() {
    const server_status s = view();
    if (stopping_ || s.leader == -1 || s.leader == id_ || !s.config->get_server(s.leader)) {
        return false;
    }
    enter(inputs::request_leadership{});
    return true;
}

void raft_server::impl::set_user_context(const std::string& context) {
    const uint64_t number = take_number();
    const std::optional<answer> a = ask(inputs::set_user_context{number, context}, number);
    if (!a || a->code != cmd_result_code::OK) {
        SERVER_LOG(log_, log_warning, "the user context was not set: %s",
                   a ? cmd_result_code_to_string(a->code).c_str() : "the server is stopping");
    }
}

bool raft_server::impl::update_server(const ptr<srv_config>& server) {
    const uint64_t number = take_number();
    const std::optional<answer> a = ask(inputs::update_server{number, server}, number);
    return a && a->accepted;
}

void raft_server::impl::request_reconnect() {
    enter(inputs::request_reconnect{});
}

void raft_server::impl::restart_election_timer() {
    enter(inputs::restart_election_timer{});
}

void raft_server::impl::update_params(const raft_params& to) {
    raft_params checked = sanitised(to, test_mode_);
    if (view().quorum_is_adjusted) {
        // The program may have read our parameters and changed one: what it read of an adjusted
        // quorum must not become its own choice (B25).
        const ptr<raft_params> own = ctx_->get_params();
        if (checked.custom_commit_quorum_size_ == adjusted_quorum_size) {
            checked.custom_commit_quorum_size_ = own->custom_commit_quorum_size_;
        }
        if (checked.custom_election_quorum_size_ == adjusted_quorum_size) {
            checked.custom_election_quorum_size_ = own->custom_election_quorum_size_;
        }
    }
    if (checked.parallel_log_appending_) parallel_appending_ = true;
    auto shared = cs_new<raft_params>(checked);
    ctx_->set_params(shared);
    enter(inputs::settings_changed{make_settings(checked)});
}

void raft_server::impl::set_term_function(const srv_state::inc_term_func& to) {
    std::lock_guard<std::recursive_mutex> guard(lock_);
    term_function_ = to;
}

}  // namespace nuraft
