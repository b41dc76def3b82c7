#pragma once

#include <atomic>
#include <functional>

#include "basic_types.hxx"
#include "buffer.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

/// What a server must not forget in a crash, besides its log. Each getter and setter is atomic.
class srv_state {
    __nocopy__(srv_state);

public:
    /// Maps the current term to a greater one.
    using inc_term_func = std::function<ulong(ulong)>;

    srv_state();
    srv_state(ulong term, int voted_for, bool et_allowed, bool catching_up,
              bool receiving_snapshot);

    /// Up to 12 bytes: version 0; more: version 1 and later. All three throw
    /// `std::overflow_error` if the bytes end too early.
    static ptr<srv_state> deserialize(buffer& buf);
    /// From the cursor of `buf`.
    static ptr<srv_state> deserialize_v0(buffer& buf);
    /// From byte 0. Throws `std::runtime_error` for version byte 0, which no writer produces.
    static ptr<srv_state> deserialize_v1p(buffer& buf);

    /// Not serialized; set it before the state is shared between threads.
    void set_inc_term_func(inc_term_func to) { inc_term_func_ = to; }

    ulong get_term() const { return term_; }
    void set_term(ulong term) { term_ = term; }
    /// Throws `std::logic_error` if the custom function does not return a greater term.
    void inc_term();

    /// -1: nobody.
    int get_voted_for() const { return voted_for_; }
    void set_voted_for(int voted_for) { voted_for_ = voted_for; }
    bool is_election_timer_allowed() const { return election_timer_allowed_; }
    void allow_election_timer(bool to) { election_timer_allowed_ = to; }
    /// Joining a cluster and not yet up to date.
    bool is_catching_up() const { return catching_up_; }
    void set_catching_up(bool to) { catching_up_ = to; }
    /// A snapshot was received in part.
    bool is_receiving_snapshot() const { return receiving_snapshot_; }
    void set_receiving_snapshot(bool to) { receiving_snapshot_ = to; }

    /// Version 2, 16 bytes.
    ptr<buffer> serialize() const;
    /// u64 term, i32 vote.
    ptr<buffer> serialize_v0() const;
    /// u8 version, u64 term, i32 vote, u8 timer allowed; from version 2 on u8 catching up and u8
    /// receiving a snapshot.
    ptr<buffer> serialize_v1p(uint8_t version) const;

private:
    std::atomic<ulong> term_;
    std::atomic<int> voted_for_;
    std::atomic<bool> election_timer_allowed_;
    std::atomic<bool> catching_up_;
    std::atomic<bool> receiving_snapshot_;
    inc_term_func inc_term_func_;
};

}  // namespace nuraft
