#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

namespace nuraft {

/// Which entry the commit thread may apply next, and who may hold it back: the program (pause), a
/// snapshot that is being installed (hold), the end of the server (stop). Thread-safe.
class apply_gate {
public:
    explicit apply_gate(uint64_t applied) : applied_(applied), target_(applied) {}

    // For the commit thread only.

    /// The next entry, if it may be applied now. Until `end` the gate counts as executing.
    std::optional<uint64_t> begin();
    void end();
    /// `index` is executed, and visible as such from here on.
    void set_applied(uint64_t index) { applied_ = index; }
    /// Sleeps until `begin` may succeed, `poke` was called, or the gate is stopped.
    void wait();

    /// Last executed index.
    const std::atomic<uint64_t>& applied() const { return applied_; }
    /// Everything up to `index` is committed and stored.
    void raise_target(uint64_t index);
    /// Makes the commit thread look at its other duties.
    void poke();
    bool stopped() const { return stopped_; }

    /// `tell` is called, without locks, whenever `begin` may succeed or `poke` was called: for a
    /// worker that does not sleep in `wait`. Before the server starts.
    void on_work(std::function<void()> tell);

    // The program's pause. `timeout_ms` 0: no limit.
    void pause();
    void resume();
    /// Paused, and nothing executing.
    bool paused() const;
    /// `pause` was called, whether something still executes or not.
    const std::atomic<bool>& pause_wanted() const { return paused_; }
    const std::atomic<bool>& executing() const { return executing_; }
    /// True: nothing is executing.
    bool wait_idle(uint64_t timeout_ms, bool zero_is_forever);

    /// Begins nothing until `release`, and waits for what is executing. False: stopped meanwhile,
    /// and then there is nothing to release. Must not be called by the commit thread.
    bool hold();
    void release();
    /// While held: the state machine is at `index` now.
    void jump(uint64_t index);

    /// For good; what is executing runs to its end.
    void stop();

private:
    template <typename F>
    void change_and_wake(F change);

    mutable std::mutex lock_;
    std::condition_variable wake_;  ///< For the commit thread.
    std::condition_variable idle_;  ///< For those who wait for it.
    std::atomic<uint64_t> applied_;
    uint64_t target_;  ///< Guarded by `lock_`, as all below.
    std::atomic<bool> paused_{false};
    int holders_ = 0;
    std::atomic<bool> executing_{false};
    bool poked_ = false;
    std::function<void()> tell_;
    std::atomic<bool> stopped_{false};  ///< Written under `lock_`.
};

}  // namespace nuraft
