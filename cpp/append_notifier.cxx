#include "raft3d/append_notifier.hxx"

#include <exception>
#include <utility>

namespace raft3d {

void append_notifier::notify(bool ok) const noexcept {
    std::lock_guard<std::mutex> guard(mutex_);
    if (detached_) return;
    if (server_) {
        deliver(ok);
    } else {
        (ok ? early_progress_ : early_failure_) = true;
    }
}

void append_notifier::attach(nuraft::ptr<nuraft::raft_server> server) {
    std::lock_guard<std::mutex> guard(mutex_);
    if (detached_) return;
    server_ = std::move(server);
    if (early_progress_) deliver(true);
    if (early_failure_) deliver(false);
}

void append_notifier::detach() {
    std::lock_guard<std::mutex> guard(mutex_);
    detached_ = true;
    server_.reset();
}

void append_notifier::deliver(bool ok) const {
    try {
        server_->notify_log_append_completion(ok);
    } catch (const std::exception&) {
        // The log's state speaks for itself at the next news or heartbeat; there is nobody here
        // who could do more about it.
    }
}

std::shared_ptr<append_notifier> new_append_notifier() {
    return std::make_shared<append_notifier>();
}

}  // namespace raft3d
