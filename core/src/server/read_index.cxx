#include "read_index.hxx"

#include "protocol/read_index.hxx"
#include "server/impl.hxx"

// Linearizable reads: of this server's program, here or by way of the leader. Those of followers
// arrive as requests, which the protocol answers by itself.

namespace nuraft {

using namespace protocol;

namespace {

void finish_read(cmd_result<uint64_t>& result, cmd_result_code code, uint64_t index = 0) {
    ptr<std::exception> no_error;
    if (code == cmd_result_code::OK) result.accept();
    result.set_result(index, no_error, code);
}

}  // namespace

ptr<raft_server::impl::read_result> raft_server::impl::read_index() {
    auto result = cs_new<read_result>();
    const int32_t leader = known_leader_;
    if (stopping_) {
        finish_read(*result, cmd_result_code::CANCELLED);
    } else if (leader == -1) {
        finish_read(*result, cmd_result_code::NOT_LEADER);
    } else if (leader == id_) {
        read_here(result);
    } else {
        read_through(leader, result);
    }
    return result;
}

void raft_server::impl::read_here(const ptr<read_result>& result) {
    std::unique_lock<std::recursive_mutex> guard(lock_);
    if (stopping_) {
        guard.unlock();
        return finish_read(*result, cmd_result_code::CANCELLED);
    }
    const uint64_t number = next_number_++;
    reads_[number] = result;
    step_and_queue(inputs::read_index{number});
    drain(guard);
}

void raft_server::impl::read_through(int32_t leader, const ptr<read_result>& result) {
    const command_result::handler_type2 answered = [result](command_result& answer,
                                                            ptr<std::exception>&) {
        const cmd_result_code code = answer.get_result_code();
        if (code != cmd_result_code::OK) return finish_read(*result, code);
        const read_index_reply reply = read_index_reply_in(answer.get());
        if (!reply.understood) return finish_read(*result, cmd_result_code::BAD_REQUEST);
        if (!reply.index) return finish_read(*result, cmd_result_code::NOT_LEADER);
        finish_read(*result, cmd_result_code::OK, *reply.index);
    };
    forward(read_index_question(id_, leader))->when_ready(answered);
}

void raft_server::impl::answer_read(const read_answer& answer) {
    ptr<read_result> result;
    {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        auto found = reads_.find(answer.number);
        if (found == reads_.end()) return;  // The server stopped meanwhile.
        result = std::move(found->second);
        reads_.erase(found);
    }
    if (!answer.index) return finish_read(*result, cmd_result_code::NOT_LEADER);
    finish_read(*result, cmd_result_code::OK, *answer.index);
}

void raft_server::impl::cancel_reads() {
    std::map<uint64_t, ptr<read_result>> dropped;
    {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        dropped.swap(reads_);
    }
    for (auto& [number, result] : dropped) finish_read(*result, cmd_result_code::CANCELLED);
}

ptr<cmd_result<uint64_t>> read_index(raft_server& server) {
    return server.impl_->read_index();
}

}  // namespace nuraft
