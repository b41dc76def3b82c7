#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "rules/fixture.hxx"

// What the protocol does for each write, one case for each run: scripts/instructions.sh counts the
// instructions inside `measured` under callgrind. Nothing here depends on time or chance.

using namespace rules;

namespace {

constexpr uint64_t rounds = 1000;

/// The only place where instructions count.
__attribute__((noinline)) void measured(raft& core, time_ms now, const input& in, effects& out) {
    core.step(now, in, out);
}

/// As `server::step`, counted.
const effects& count(server& s, const input& in) {
    s.out = effects();
    measured(*s.core, s.now, in, s.out);
    return s.out;
}

input proposal() {
    inputs::proposal p;
    p.entries = {app(0, std::string(100, 'x'))};
    return p;
}

/// A leader of three takes in an entry, and sends it to both others.
void append_on_leader() {
    server s;
    s.lead();
    for (uint64_t i = 0; i < rounds; ++i) {
        count(s, proposal());
        s.store();
        count(s, inputs::replicate{});
        std::vector<outgoing> sent = s.out.send;
        s.durable();
        s.settle(sent);
    }
}

/// Its own disk has the entry, and so have the others.
void response_at_leader() {
    server s;
    s.lead();
    for (uint64_t i = 0; i < rounds; ++i) {
        s.propose(std::string(100, 'x'));
        const outgoing first = s.one_to(2);
        const outgoing second = s.one_to(3);
        s.durable();
        s.settle();
        req_msg& msg = *first.msg;
        const uint64_t next = msg.get_last_log_idx() + msg.log_entries().size() + 1;
        auto resp =
            cs_new<resp_msg>(msg.get_term(), msg_type::append_entries_response, 2, 1, next, true);
        count(s, inputs::response{first.number, resp});
        while (s.out.question) count(s, inputs::commit_answer{s.out.question->expected});
        s.settle({second});
    }
}

/// A follower takes in an entry, and acknowledges it once it is on its disk.
void append_at_follower() {
    server s;
    s.receive(append(1, 2, 0, 0, 0));
    for (uint64_t i = 0; i < rounds; ++i) {
        inputs::request in;
        in.number = i + 1;
        in.msg = append(1, 2, i, i == 0 ? 0 : 1, i, {app(1, std::string(100, 'x'))});
        count(s, in);
        const uint64_t write = s.out.write->number;
        s.log.write(*s.out.write);
        count(s, inputs::log_stored{write});
        count(s, inputs::log_durable{i + 1, write});
    }
}

struct named_case {
    const char* name;
    void (*run)();
};

constexpr named_case cases[] = {
    {"append_on_leader", append_on_leader},
    {"response_at_leader", response_at_leader},
    {"append_at_follower", append_at_follower},
};

}  // namespace

/// Without an argument: the names of the cases. With one: runs it.
int main(int count_of_arguments, char** arguments) {
    for (const named_case& c : cases) {
        if (count_of_arguments < 2) {
            std::printf("%s %llu\n", c.name, static_cast<unsigned long long>(rounds));
        } else if (std::strcmp(arguments[1], c.name) == 0) {
            c.run();
            return ::testing::Test::HasFailure() ? 1 : 0;
        }
    }
    return count_of_arguments < 2 ? 0 : 2;
}
