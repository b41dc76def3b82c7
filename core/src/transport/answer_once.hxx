#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "transport/request_sink.hxx"

namespace nuraft {
namespace transport {

/// Holds a sink to its promise of exactly one answer: later answers are ignored, and a completion
/// that is dropped counts as "no answer", so that no session waits for ever.
inline request_sink::completion answer_once(request_sink::completion answer) {
    class once {
    public:
        explicit once(request_sink::completion answer) : answer_(std::move(answer)) {}
        ~once() { operator()(nullptr); }
        once(const once&) = delete;
        once& operator=(const once&) = delete;
        void operator()(ptr<resp_msg> resp) {
            if (!answered_.exchange(true)) answer_(std::move(resp));
        }

    private:
        const request_sink::completion answer_;
        std::atomic<bool> answered_{false};
    };
    return [guard = std::make_shared<once>(std::move(answer))](ptr<resp_msg> resp) {
        (*guard)(std::move(resp));
    };
}

}  // namespace transport
}  // namespace nuraft
