#include "server/log_reader.hxx"

#include <utility>

namespace nuraft {

template <typename T, typename F>
T log_reader::guarded(T otherwise, F&& read) const {
    try {
        return read();
    } catch (const std::exception& e) {
        error_ = e.what();
    } catch (...) {
        error_ = "not a std::exception";
    }
    return otherwise;
}

uint64_t log_reader::start_index() const {
    return guarded<uint64_t>(1, [this] { return store_->start_index(); });
}

uint64_t log_reader::next_index() const {
    return guarded<uint64_t>(1, [this] { return store_->next_slot(); });
}

uint64_t log_reader::term_at(uint64_t index) const {
    return guarded<uint64_t>(0, [&] { return store_->term_at(index); });
}

ptr<std::vector<ptr<log_entry>>> log_reader::entries(uint64_t first, uint64_t end,
                                                     int64_t size_hint_bytes) const {
    return guarded<ptr<std::vector<ptr<log_entry>>>>(
        nullptr, [&] { return store_->log_entries_ext(first, end, size_hint_bytes); });
}

ptr<buffer> log_reader::pack(uint64_t first, int32_t count) const {
    return guarded<ptr<buffer>>(nullptr, [&] { return store_->pack(first, count); });
}

std::string log_reader::take_error() {
    return std::exchange(error_, std::string());
}

}  // namespace nuraft
