#include "internal_timer.hxx"

#include <thread>

namespace nuraft {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

uint64_t us_since(steady_clock::time_point start) {
    const steady_clock::duration elapsed = steady_clock::now() - start;
    if (elapsed < steady_clock::duration::zero()) return 0;
    return static_cast<uint64_t>(std::chrono::duration_cast<microseconds>(elapsed).count());
}

}  // namespace

timer_helper::timer_helper(size_t duration_us, bool fire_first_event)
    : t_created_(steady_clock::now()),
      duration_us_(duration_us),
      first_event_fired_(!fire_first_event) {}

void timer_helper::sleep_us(size_t us) {
    std::this_thread::sleep_for(microseconds(us));
}

void timer_helper::sleep_ms(size_t ms) {
    std::this_thread::sleep_for(milliseconds(ms));
}

void timer_helper::sleep_sec(size_t sec) {
    std::this_thread::sleep_for(std::chrono::seconds(sec));
}

void timer_helper::reset(int64_t offset_ms) {
    std::lock_guard<std::mutex> guard(lock_);
    t_created_ = steady_clock::now() + milliseconds(offset_ms);
}

size_t timer_helper::get_duration_us() const {
    std::lock_guard<std::mutex> guard(lock_);
    return duration_us_;
}

void timer_helper::set_duration_us(size_t us) {
    std::lock_guard<std::mutex> guard(lock_);
    duration_us_ = us;
}

void timer_helper::set_duration_ms(size_t ms) {
    set_duration_us(ms * 1000);
}

void timer_helper::set_duration_sec(size_t sec) {
    set_duration_us(sec * 1000 * 1000);
}

uint64_t timer_helper::get_us() const {
    std::lock_guard<std::mutex> guard(lock_);
    return us_since(t_created_);
}

uint64_t timer_helper::get_ms() const {
    return get_us() / 1000;
}

uint64_t timer_helper::get_sec() const {
    return get_us() / 1000 / 1000;
}

bool timer_helper::timeout() const {
    std::lock_guard<std::mutex> guard(lock_);
    if (!first_event_fired_) {
        first_event_fired_ = true;
        return true;
    }
    return us_since(t_created_) > duration_us_;
}

bool timer_helper::timeout_and_reset() {
    std::lock_guard<std::mutex> guard(lock_);
    if (!first_event_fired_) {
        first_event_fired_ = true;
        return true;
    }
    if (us_since(t_created_) <= duration_us_) return false;
    t_created_ = steady_clock::now();
    return true;
}

uint64_t timer_helper::get_timeofday_us() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<uint64_t>(std::chrono::duration_cast<microseconds>(now).count());
}

}  // namespace nuraft
