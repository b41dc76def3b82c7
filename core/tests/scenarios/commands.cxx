#include "commands.hxx"

#include <limits>
#include <stdexcept>

// The language of scenarios.

namespace scenarios {

using namespace nuraft;
namespace in = nuraft::protocol::inputs;

namespace {

constexpr int32_t most_messages = 1000;

/// The words of a line, taken one after another.
class words {
public:
    explicit words(const std::string& line) : line_(line) {
        std::istringstream text(line);
        for (std::string word; text >> word;) all_.push_back(word);
    }

    bool empty() const { return next_ == all_.size(); }
    std::string word(const char* what) {
        if (empty()) throw std::invalid_argument("\"" + line_ + "\" lacks " + what);
        return all_[next_++];
    }
    int64_t number(const char* what) { return to_number(word(what)); }
    stage::id id() { return static_cast<stage::id>(number("a server")); }
    std::optional<stage::id> id_if_any() {
        return empty() ? std::nullopt : std::optional<stage::id>(id());
    }
    std::vector<std::string> rest() {
        std::vector<std::string> left(all_.begin() + static_cast<std::ptrdiff_t>(next_),
                                      all_.end());
        next_ = all_.size();
        return left;
    }
    bool flag(const char* what) {
        const std::string value = word(what);
        if (value != "on" && value != "off") throw std::invalid_argument(value + ": on or off");
        return value == "on";
    }
    static int64_t to_number(const std::string& text) {
        size_t used = 0;
        const int64_t value = std::stoll(text, &used);
        if (used != text.size()) throw std::invalid_argument(text + " is no number");
        return value;
    }

private:
    const std::string line_;
    std::vector<std::string> all_;
    size_t next_ = 0;
};

void set_parameter(stage& on, words& w) {
    const std::map<std::string, int32_t raft_params::*> known = {
        {"commit_quorum", &raft_params::custom_commit_quorum_size_},
        {"batch", &raft_params::max_append_size_},
        {"sync_gap", &raft_params::log_sync_stop_gap_},
    };
    const std::string name = w.word("a parameter");
    auto found = known.find(name);
    if (found == known.end()) throw std::invalid_argument("no parameter " + name);
    on.params.*found->second = static_cast<int32_t>(w.number("a value"));
}

std::vector<stage::id> all_ids(words& w) {
    std::vector<stage::id> ids;
    do ids.push_back(w.id());
    while (!w.empty());
    return ids;
}

/// `deliver`, `deliver 1->2`, `deliver 1->2 3`, `deliver *->2`
void deliver(stage& on, words& w) {
    stage::route which;
    int32_t limit = most_messages;
    if (!w.empty()) {
        const std::string route = w.word("a route");
        const size_t arrow = route.find("->");
        if (arrow == std::string::npos) throw std::invalid_argument(route + ": from->to");
        const auto end = [](const std::string& text) {
            return text == "*"
                       ? std::nullopt
                       : std::optional<stage::id>(static_cast<stage::id>(words::to_number(text)));
        };
        which = {end(route.substr(0, arrow)), end(route.substr(arrow + 2))};
    }
    if (!w.empty()) limit = static_cast<int32_t>(w.number("how many"));
    on.deliver(which, limit);
}

/// `forge TO KIND FROM TERM INDEX INDEX_TERM COMMIT [TERM_OF_ENTRY...]`
void forge(stage& on, words& w) {
    const std::map<std::string, msg_type> kinds = {
        {"append", msg_type::append_entries_request},
        {"vote", msg_type::request_vote_request},
        {"takeover", msg_type::custom_notification_request},
        {"join", msg_type::join_cluster_request},
    };
    const stage::id to = w.id();
    const std::string name = w.word("a kind");
    auto kind = kinds.find(name);
    if (kind == kinds.end()) throw std::invalid_argument("no kind " + name);
    const stage::id from = w.id();
    const auto number = [&w](const char* what) { return static_cast<ulong>(w.number(what)); };
    const ulong term = number("a term");
    const ulong index = number("an index");
    const ulong index_term = number("the index's term");
    auto msg =
        cs_new<req_msg>(term, kind->second, from, to, index_term, index, number("a commit index"));
    const auto payload = [](const std::string& bytes) {
        ptr<buffer> b = buffer::alloc(bytes.size());
        b->put_raw(reinterpret_cast<const byte*>(bytes.data()), bytes.size());
        b->pos(0);
        return b;
    };
    if (name == "takeover") {
        msg->log_entries().push_back(
            cs_new<log_entry>(0, payload(std::string("\0\2\0\0\0\0", 6)), log_val_type::custom));
    } else if (name == "join") {
        auto config = cs_new<cluster_config>(index);
        config->get_servers().push_back(cs_new<srv_config>(from, "stage:" + std::to_string(from)));
        msg->log_entries().push_back(
            cs_new<log_entry>(term, config->serialize(), log_val_type::conf));
    }
    for (const std::string& entry_term : w.rest()) {
        msg->log_entries().push_back(
            cs_new<log_entry>(static_cast<ulong>(words::to_number(entry_term)), payload("forged")));
    }
    on.forge(to, msg);
}

void administer(stage& on, const std::string& what, words& w) {
    const stage::id leader = w.id();
    const uint64_t number = on.next_number();
    if (what == "add") {
        const stage::id server = w.id();
        auto config = cs_new<srv_config>(server, "stage:" + std::to_string(server));
        on.input(leader, in::add_server{number, config});
    } else if (what == "remove") {
        on.input(leader, in::remove_server{number, w.id()});
    } else if (what == "learner") {
        const stage::id server = w.id();
        on.input(leader, in::set_learner{number, server, w.flag("on or off")});
    } else if (what == "priority") {
        in::set_priority p;
        p.number = number;
        p.server = w.id();
        p.priority = static_cast<int32_t>(w.number("a priority"));
        on.input(leader, p);
    } else if (what == "context") {
        on.input(leader, in::set_user_context{number, w.word("a text")});
    } else if (what == "yield") {
        on.input(leader, in::yield{false, w.id_if_any().value_or(-1)});
    } else {
        on.input(leader, in::request_leadership{});
    }
}

using handler = void (*)(stage&, words&);

const std::map<std::string, handler>& handlers() {
    static const std::map<std::string, handler> all = {
        {"set", set_parameter},
        {"start", [](stage& on, words& w) { on.start_members(all_ids(w)); }},
        {"begin", [](stage& on, words& w) { on.begin(all_ids(w)); }},
        {"outsider", [](stage& on, words& w) { on.start_outsider(w.id()); }},
        {"crash", [](stage& on, words& w) { on.crash(w.id()); }},
        {"restart", [](stage& on, words& w) { on.restart(w.id()); }},
        {"timeout", [](stage& on, words& w) { on.election_timeout(w.id()); }},
        {"wait", [](stage& on, words& w) { on.wait(static_cast<int32_t>(w.number("ms"))); }},
        {"beat",
         [](stage& on, words& w) {
             const stage::id server = w.id();
             on.heartbeat(server, w.id_if_any());
         }},
        {"deliver", deliver},
        {"cut",
         [](stage& on, words& w) {
             const stage::id one = w.id();
             while (!w.empty()) on.cut(one, w.id());
         }},
        {"heal", [](stage& on, words&) { on.heal(); }},
        {"break",
         [](stage& on, words& w) {
             const stage::id client = w.id();
             on.break_connection(client, w.id());
         }},
        {"slow",
         [](stage& on, words& w) {
             const stage::id server = w.id();
             on.make_slow(server, w.flag("on or off"));
         }},
        {"store", [](stage& on, words& w) { on.store(w.id()); }},
        {"sync", [](stage& on, words& w) { on.sync(w.id()); }},
        {"save", [](stage& on, words& w) { on.save_objects(w.id()); }},
        {"snapshot",
         [](stage& on, words& w) {
             const stage::id server = w.id();
             on.create_snapshot(server, static_cast<uint64_t>(w.number("entries to keep")));
         }},
        {"propose",
         [](stage& on, words& w) {
             const stage::id server = w.id();
             on.propose(server, w.rest());
         }},
        {"adjust",
         [](stage& on, words& w) {
             const stage::id server = w.id();
             on.answer_commits_with(server, w.number("how much more"));
         }},
        {"log", [](stage& on, words& w) { on.show_log(w.id()); }},
        {"forge", forge},
    };
    return all;
}

}  // namespace

void perform(stage& on, const std::string& line) {
    words w(line);
    const std::string command = w.word("a command");
    auto found = handlers().find(command);
    if (found != handlers().end()) {
        found->second(on, w);
    } else if (command == "add" || command == "remove" || command == "learner" ||
               command == "priority" || command == "context" || command == "yield" ||
               command == "claim") {
        administer(on, command, w);
    } else {
        throw std::invalid_argument("no command " + command);
    }
    if (!w.empty()) throw std::invalid_argument("too much in \"" + line + "\"");
}

}  // namespace scenarios
