#include "delayed_task.hxx"

#include <utility>

namespace nuraft {

delayed_task::delayed_task(int32 type) : cancelled_(false), impl_ctx_(nullptr), type_(type) {}

delayed_task::~delayed_task() {
    if (impl_ctx_ && deleter_) deleter_(impl_ctx_);
}

void delayed_task::execute() {
    if (!cancelled_) exec();
}

void delayed_task::set_impl_context(void* ctx, std::function<void(void*)> del) {
    impl_ctx_ = ctx;
    deleter_ = std::move(del);
}

}  // namespace nuraft
