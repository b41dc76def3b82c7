#include "server/impl.hxx"

// Requests of clients, from acceptance by the leader to their result (behaviour 17).

namespace nuraft {

using namespace protocol;

namespace {

uint64_t wall_clock_us() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count());
}

ptr<cmd_result<ptr<buffer>>> refused(cmd_result_code code) {
    ptr<buffer> nothing;
    return cs_new<cmd_result<ptr<buffer>>>(nothing, false, code);
}

}  // namespace

ptr<raft_server::impl::command_result> raft_server::impl::append_entries(
    const std::vector<ptr<buffer>>& logs, const req_ext_params& ext) {
    if (logs.empty()) return refused(cmd_result_code::OK);
    const int32_t leader = known_leader_;
    if (stopping_) return refused(cmd_result_code::BAD_REQUEST);
    if (leader == -1) return refused(cmd_result_code::NOT_LEADER);

    auto req = cs_new<req_msg>(0, msg_type::client_request, id_, leader, 0, 0, 0);
    for (const ptr<buffer>& data : logs) {
        if (!data) return refused(cmd_result_code::BAD_REQUEST);
        data->pos(0);
        req->log_entries().push_back(cs_new<log_entry>(0, data));
    }
    if (leader != id_) return forward(req);
    if (event(cb_func::ProcessReq, -1, req.get()) == cb_func::ReturnNull) {
        return refused(cmd_result_code::BAD_REQUEST);
    }

    const bool blocking = ctx_->get_params()->return_method_ == raft_params::blocking;
    proposed p = propose(req->log_entries(), ext, blocking);
    if (!p.batch) return refused(p.refusal);
    if (blocking) return await(p.batch);
    wait_if_needed(*p.batch);
    if (p.batch->result->get_result_code() != cmd_result_code::BAD_REQUEST) {
        p.batch->result->accept();
    }
    return p.batch->result;
}

raft_server::impl::proposed raft_server::impl::propose(std::vector<ptr<log_entry>> entries,
                                                       const req_ext_params& ext, bool blocking) {
    const uint64_t timestamp_us = wall_clock_us();  // One for the whole batch.
    for (const ptr<log_entry>& e : entries) e->set_timestamp(timestamp_us);
    const bool in_background = ctx_->get_params()->use_bg_thread_for_urgent_commit_;

    proposed made;
    std::unique_lock<std::recursive_mutex> guard(lock_);
    if (stopping_ || asking_) return {nullptr, cmd_result_code::BAD_REQUEST};
    const uint64_t number = next_number_++;
    effects fx = step(inputs::proposal{number, std::move(entries), ext.expected_term_});
    made.refusal = cmd_result_code::BAD_REQUEST;
    for (const answer& a : fx.answers) {
        if (a.number != number) continue;
        made.refusal = a.code;
        if (!a.accepted) continue;
        // Registered before anybody else can learn of the entries, let alone apply them.
        made.batch = cs_new<client_batch>(ext, blocking);
        made.batch->last_index = a.last_index;
        made.batch->term = a.term;
        made.batch->at_append = raft_->config()->is_async_replication();
        batches_.add(number, made.batch);
    }
    const bool replicate = fx.replicate_wanted;
    queue(std::move(fx));
    if (replicate && !in_background) step_and_queue(inputs::replicate{});
    if (replicate && in_background) {
        guard.unlock();  // Or the woken thread falls asleep on it again.
        append_signal_.want_replication();
        guard.lock();
    }
    drain(guard);
    return made;
}

void raft_server::impl::append_loop() {
    while (std::optional<append_signal::work> work = append_signal_.wait()) do_signalled(*work);
}

void raft_server::impl::do_signalled(const append_signal::work& work) {
    // Proposals that came since the signal leave in the same messages.
    if (work.replicate) enter(inputs::replicate{});
    if (work.sample_durable) enter_task([this] { sample_durable(); });
    if (work.write_failed) enter_task([this] { on_write_failed(); });
    if (work.drain) drain();
}

/// The program may expect that its hook has run, or that the value is there, when the call returns.
void raft_server::impl::wait_if_needed(client_batch& batch) {
    if ((batch.ext.after_precommit_ || batch.at_append) && !on_own_thread()) batch.wait_written();
}

ptr<raft_server::impl::command_result> raft_server::impl::await(const ptr<client_batch>& batch) {
    if (on_own_thread()) {
        SERVER_LOG(log_, log_error,
                   "append_entries in blocking mode from a callback would wait for itself; "
                   "the result will come later");
        batch->result->accept();
        return batch->result;
    }
    if (!batch->wait_finished(ctx_->get_params()->client_req_timeout_)) {
        batch->finish(nullptr, cmd_result_code::TIMEOUT);
        batch->wait_finished(0);  // Lost the race against the real result: that is at hand.
    }
    if (batch->result->get_result_code() != cmd_result_code::OK) {
        enter(inputs::check_leadership{});
    }
    if (batch->result->get_result_code() != cmd_result_code::BAD_REQUEST) batch->result->accept();
    return batch->result;
}

cmd_result_code raft_server::impl::check_client_request(req_msg& req) const {
    // A peer must not smuggle configurations into the log (B22).
    if (req.log_entries().empty()) return cmd_result_code::BAD_REQUEST;
    for (const ptr<log_entry>& e : req.log_entries()) {
        if (!e || e->is_buf_null() || e->get_val_type() != log_val_type::app_log) {
            return cmd_result_code::BAD_REQUEST;
        }
    }
    return cmd_result_code::OK;
}

ptr<resp_msg> raft_server::impl::make_response(const req_msg& req, cmd_result_code code) const {
    const server_status s = view();
    const msg_type type = req.get_type() == msg_type::client_request
                              ? msg_type::append_entries_response
                              : static_cast<msg_type>(req.get_type() + 1);
    auto resp = cs_new<resp_msg>(s.term, type, id_, req.get_src(), s.last_log_index + 1);
    resp->set_result_code(code);
    return resp;
}

void raft_server::impl::receive_client_request(const ptr<req_msg>& req,
                                               const response_handler& done) {
    const cmd_result_code check = check_client_request(*req);
    if (check != cmd_result_code::OK) return done(make_response(*req, check));
    proposed p = propose(req->log_entries(), req_ext_params(), false);
    if (!p.batch) return done(make_response(*req, p.refusal));
    std::weak_ptr<impl> weak = weak_from_this();
    p.batch->result->when_ready(command_result::handler_type2(
        [weak, req, done](command_result& result, ptr<std::exception>&) {
            ptr<impl> self = weak.lock();
            if (!self) return done(nullptr);
            ptr<resp_msg> resp = self->make_response(*req, result.get_result_code());
            if (result.get_result_code() != cmd_result_code::BAD_REQUEST) {
                resp->accept(resp->get_next_idx());
            }
            resp->set_ctx(result.get());
            done(resp);
        }));
}

ptr<resp_msg> raft_server::impl::process_client_request(const ptr<req_msg>& req,
                                                        const req_ext_params& ext) {
    const cmd_result_code check = check_client_request(*req);
    if (check != cmd_result_code::OK) return make_response(*req, check);
    const bool blocking = ctx_->get_params()->return_method_ == raft_params::blocking;
    proposed p = propose(req->log_entries(), ext, blocking);
    ptr<resp_msg> resp = make_response(*req, p.refusal);
    if (!p.batch) return resp;
    wait_if_needed(*p.batch);
    resp->accept(resp->get_next_idx());
    if (!blocking) {
        resp->set_async_cb([batch = p.batch] { return batch->result; });
        return resp;
    }
    std::weak_ptr<impl> weak = weak_from_this();
    resp->set_cb([weak, batch = p.batch](ptr<resp_msg> answer) {
        ptr<impl> self = weak.lock();
        if (!self) return ptr<resp_msg>();
        ptr<command_result> result = self->await(batch);
        answer->set_result_code(result->get_result_code());
        answer->set_ctx(result->get());
        return answer;
    });
    return resp;
}

}  // namespace nuraft
