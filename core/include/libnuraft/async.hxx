#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

enum cmd_result_code : int32_t {
    OK = 0,
    CANCELLED = -1,  ///< Leadership lost or shutdown; the entry may still commit.
    TIMEOUT = -2,    ///< Not committed in time; the entry may still commit.
    NOT_LEADER = -3,
    BAD_REQUEST = -4,  ///< Malformed, suppressed by a callback, or stopping.
    SERVER_ALREADY_EXISTS = -5,
    CONFIG_CHANGING = -6,    ///< An earlier configuration entry is uncommitted.
    SERVER_IS_JOINING = -7,  ///< Another server is being added.
    SERVER_NOT_FOUND = -8,
    CANNOT_REMOVE_LEADER = -9,
    SERVER_IS_LEAVING = -10,  ///< Another server is being removed.
    TERM_MISMATCH = -11,      ///< `expected_term_` is not the current term.
    RESULT_NOT_EXIST_YET = -10000,
    FAILED = -32768,
};

/// A sentence for the code; unknown codes are shown with their number.
std::string cmd_result_code_to_string(cmd_result_code code);

/// A value, an error and a code that arrive once, now or later. All members are thread-safe;
/// handlers run without internal locks, in the thread that completes the result or, if it is
/// complete already, in the one that installs the handler. A handler runs at most once and is
/// dropped then, so that a handler that holds its own result makes no lasting cycle.
template <typename T, typename TE = ptr<std::exception>>
class cmd_result {
public:
    using handler_type = std::function<void(T&, TE&)>;
    using handler_type2 = std::function<void(cmd_result<T, TE>&, TE&)>;

    /// Pending.
    cmd_result() : value_(), no_value_(), err_() {}

    /// Complete, not accepted.
    explicit cmd_result(T& result, cmd_result_code code = cmd_result_code::OK)
        : value_(result), no_value_(), err_(), code_(code), has_result_(true) {}

    /// Complete.
    explicit cmd_result(T& result, bool _accepted, cmd_result_code code = cmd_result_code::OK)
        : value_(result),
          no_value_(),
          err_(),
          code_(code),
          has_result_(true),
          accepted_(_accepted) {}

    /// Counts as complete, with a default value; a later `set_result` still runs the handler.
    explicit cmd_result(const handler_type& handler)
        : value_(), no_value_(), err_(), has_result_(true), handler_(handler) {}

    __nocopy__(cmd_result);

public:
    /// Pending again; handlers, value and error are dropped.
    void reset() {
        std::lock_guard<std::mutex> guard(lock_);
        value_ = T();
        err_ = TE();
        code_ = cmd_result_code::OK;
        has_result_ = false;
        accepted_ = false;
        handler_ = nullptr;
        handler2_ = nullptr;
    }

    /// Runs `handler` now if there is a result, otherwise keeps it until there is one, in place of
    /// an earlier one of the same kind.
    void when_ready(const handler_type& handler) {
        {
            std::lock_guard<std::mutex> guard(lock_);
            if (!has_result_) {
                handler_ = handler;
                return;
            }
        }
        if (handler) handler(value_, err_);
    }

    void when_ready(const handler_type2& handler) {
        {
            std::lock_guard<std::mutex> guard(lock_);
            if (!has_result_) {
                handler2_ = handler;
                return;
            }
        }
        if (handler) handler(*this, err_);
    }

    /// Completes the result, runs the stored handler (if both kinds are, the second), wakes
    /// waiters.
    void set_result(T& result, TE& err, cmd_result_code code = cmd_result_code::OK) {
        handler_type handler;
        handler_type2 handler2;
        {
            std::lock_guard<std::mutex> guard(lock_);
            value_ = result;
            err_ = err;
            code_ = code;
            has_result_ = true;
            handler.swap(handler_);
            handler2.swap(handler2_);
        }
        wake_at_end wake(ready_);
        if (handler2) {
            handler2(*this, err);
        } else if (handler) {
            handler(result, err);
        }
    }

    void accept() {
        std::lock_guard<std::mutex> guard(lock_);
        accepted_ = true;
    }

    bool get_accepted() const {
        std::lock_guard<std::mutex> guard(lock_);
        return accepted_;
    }

    void set_result_code(cmd_result_code ec) {
        std::lock_guard<std::mutex> guard(lock_);
        code_ = ec;
    }

    /// `RESULT_NOT_EXIST_YET` while pending.
    cmd_result_code get_result_code() const {
        std::lock_guard<std::mutex> guard(lock_);
        return has_result_ ? code_ : cmd_result_code::RESULT_NOT_EXIST_YET;
    }

    bool has_result() const {
        std::lock_guard<std::mutex> guard(lock_);
        return has_result_;
    }

    std::string get_result_str() const { return cmd_result_code_to_string(get_result_code()); }

    /// Blocks until there is a result. A default value if an error came; never throws the error.
    T& get() {
        std::unique_lock<std::mutex> guard(lock_);
        ready_.wait(guard, [this] { return has_result_; });
        return err_ == nullptr ? value_ : no_value_;
    }

private:
    // A handler that throws must not leave waiters asleep.
    struct wake_at_end {
        explicit wake_at_end(std::condition_variable& c) : condition(c) {}
        ~wake_at_end() { condition.notify_all(); }
        std::condition_variable& condition;
    };

    mutable std::mutex lock_;
    std::condition_variable ready_;
    T value_;
    T no_value_;
    TE err_;
    cmd_result_code code_ = cmd_result_code::OK;
    bool has_result_ = false;
    bool accepted_ = false;
    handler_type handler_;
    handler_type2 handler2_;
};

template <typename T, typename TE = ptr<std::exception>>
using async_result = cmd_result<T, TE>;

}  // namespace nuraft
