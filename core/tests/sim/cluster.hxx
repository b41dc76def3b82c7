#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checker.hxx"
#include "dice.hxx"
#include "event_queue.hxx"
#include "network.hxx"
#include "options.hxx"
#include "sim_server.hxx"
#include "violation.hxx"

namespace sim {

/// One run: servers, a network, clients and faults, all in virtual time and all drawn from a seed.
class cluster {
public:
    explicit cluster(const options& o);
    ~cluster();

    /// Injects faults for a while, stops them and waits for the servers to agree.
    /// Throws `violation` if a rule is broken or they do not agree in time.
    void run();

    // The parts of it, for runs that follow a script.
    void boot_all();
    /// Runs single events until `done` holds after one; `violation` after `limit`.
    void run_until(const std::function<bool()>& done, const std::string& what,
                   time_us limit = 20000 * ms);
    /// Ends all faults; everybody has to agree, and to commit one entry more.
    void converge();
    std::shared_ptr<operation> propose(sim_server& to, const std::string& payload);

    event_queue& events() { return events_; }
    const event_queue& events() const { return events_; }
    dice& chance() { return dice_; }
    network& net() { return network_; }
    checker& check() { return checker_; }
    const options& opts() const { return options_; }
    bool chaos() const { return chaos_; }
    totals& count() { return totals_; }

    std::map<int32_t, std::unique_ptr<sim_server>>& servers() { return servers_; }
    sim_server& server(int32_t id) { return *servers_.at(id); }
    /// Creates a server that is no member yet.
    sim_server& add_outsider();
    /// Null: no running server thinks that it leads; otherwise the one of the highest term.
    sim_server* leader();
    /// Any that thinks so, though another may lead a later term.
    sim_server* any_leader();
    static std::string endpoint(int32_t id);

    // What depends on whether faults are on.
    time_us network_delay() const { return chaos_ ? options_.network_delay : 2 * ms; }
    int32_t black_holes() const { return chaos_ ? options_.black_holes : 0; }
    int32_t rate(int32_t per_10000) const { return chaos_ ? per_10000 : 0; }

    void retry(const std::shared_ptr<operation>& op);
    /// One line of the trace; built only if somebody reads it.
    bool tracing() const { return trace_to_stdout_ || keep_trace_; }
    void trace(const std::string& line);
    void trace_to_stdout() { trace_to_stdout_ = true; }
    void keep_trace() { keep_trace_ = true; }
    const std::deque<std::string>& last_trace() const { return last_trace_; }
    uint64_t digest() const { return digest_; }
    void mix_digest(uint64_t value) { digest_ = mix(digest_, value); }

private:
    void run_until(time_us end);
    void schedule_client();
    void schedule_fault();
    void stop_faults();
    bool agreed(std::string* why) const;
    void await_agreement(time_us deadline);
    void mend_priorities();
    void commit_one_more(time_us deadline);
    void read_once_more(time_us deadline);
    std::shared_ptr<operation> make_operation(const std::vector<std::string>& payloads);

    options options_;
    dice dice_;
    event_queue events_;
    network network_;
    totals totals_;
    checker checker_;
    std::map<int32_t, std::unique_ptr<sim_server>> servers_;
    bool chaos_ = true;
    uint64_t next_operation_ = 0;
    std::vector<std::shared_ptr<operation>> operations_;
    bool trace_to_stdout_ = false;
    bool keep_trace_ = false;
    std::deque<std::string> last_trace_;
    uint64_t digest_ = 0;
};

/// Runs one seed. On a violation returns its text with the trace of the last events and the
/// command that shows it all; otherwise adds to `sum` and returns an empty string.
std::string run_seed(uint64_t seed, const std::string& without, totals& sum);

}  // namespace sim
