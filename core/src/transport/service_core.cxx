#include "transport/service_core.hxx"

namespace nuraft {
namespace transport {

bool service_core::add(const std::shared_ptr<closable>& c) {
    std::lock_guard<std::mutex> guard(lock_);
    if (stopped_) return false;
    open_.emplace(c.get(), c);
    return true;
}

void service_core::remove(closable* c) {
    std::lock_guard<std::mutex> guard(lock_);
    open_.erase(c);
}

void service_core::stop() {
    std::unordered_map<closable*, std::weak_ptr<closable>> open;
    {
        std::lock_guard<std::mutex> guard(lock_);
        stopped_ = true;
        open.swap(open_);
    }
    for (auto& entry : open)
        if (std::shared_ptr<closable> c = entry.second.lock()) c->close();
}

}  // namespace transport
}  // namespace nuraft
