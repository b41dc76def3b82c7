#include "describe.hxx"

#include <sstream>

#include "msg_type.hxx"

namespace sim {

using namespace nuraft;
namespace in = nuraft::protocol::inputs;

namespace {

const char* name_of(protocol::timer_kind kind) {
    switch (kind) {
        case protocol::timer_kind::election:
            return "election";
        case protocol::timer_kind::heartbeat:
            return "heartbeat";
        case protocol::timer_kind::retry:
            return "retry";
        case protocol::timer_kind::progress:
            return "progress";
    }
    return "?";
}

const char* name_of(protocol::notice::kind kind) {
    using protocol::notice;
    switch (kind) {
        case notice::became_leader:
            return "became leader";
        case notice::leader_catching_up:
            return "leader catching up";
        case notice::became_follower:
            return "became follower";
        case notice::append_response:
            return "append response";
        case notice::heartbeat:
            return "heartbeat";
        case notice::config_active:
            return "config active";
        case notice::joined_cluster:
            return "joined cluster";
        case notice::removed_from_cluster:
            return "removed from cluster";
        case notice::out_of_log_range:
            return "out of log range";
        case notice::server_join_failed:
            return "server join failed";
        case notice::follower_lost:
            return "follower lost";
        case notice::leadership_expired:
            return "leadership expired";
        case notice::resign_wanted:
            return "resign wanted";
        case notice::misbehaving_leader:
            return "misbehaving leader";
        case notice::transfer_wanted:
            return "transfer wanted";
        case notice::bad_message:
            return "bad message";
        case notice::snapshot_wanted:
            return "snapshot wanted";
        case notice::quorum_adjustment_wanted:
            return "quorum adjustment wanted";
        case notice::isolated:
            return "isolated";
        case notice::halt:
            return "HALT";
    }
    return "?";
}

struct input_text {
    std::string operator()(const in::start& i) const {
        return i.skip_election_timer ? "start, passive" : "start";
    }
    std::string operator()(const in::timer_fired& i) const {
        std::string text = std::string("timer ") + name_of(i.kind);
        return i.peer < 0 ? text : text + " " + std::to_string(i.peer);
    }
    std::string operator()(const in::request& i) const {
        return "request #" + std::to_string(i.number) + " " + describe(*i.msg) +
               (i.declined ? " (declined)" : "");
    }
    std::string operator()(const in::response& i) const {
        return "response to " + std::to_string(i.send) + " " + describe(*i.msg);
    }
    std::string operator()(const in::send_failed& i) const {
        return "send " + std::to_string(i.send) + (i.kept_back ? " kept back" : " failed");
    }
    std::string operator()(const in::proposal& i) const {
        return "proposal #" + std::to_string(i.number) + " of " + std::to_string(i.entries.size());
    }
    std::string operator()(const in::replicate&) const { return "replicate"; }
    std::string operator()(const in::log_stored& i) const {
        return "log stored, write " + std::to_string(i.write);
    }
    std::string operator()(const in::log_durable& i) const {
        return "log durable to " + std::to_string(i.index) + " of write " + std::to_string(i.write);
    }
    std::string operator()(const in::log_failed&) const { return "log failed"; }
    std::string operator()(const in::commit_answer& i) const {
        return "commit answer " + std::to_string(i.index);
    }
    std::string operator()(const in::term_answer& i) const {
        return "candidate in term " + std::to_string(i.term);
    }
    std::string operator()(const in::applied& i) const {
        return "applied " + std::to_string(i.index);
    }
    std::string operator()(const in::adjust_quorum&) const { return "adjust quorum"; }
    std::string operator()(const in::mark_down& i) const {
        return i.down ? "mark down" : "mark up";
    }
    std::string operator()(const in::read_index& i) const {
        return "read #" + std::to_string(i.number);
    }
    std::string operator()(const in::check_leadership&) const { return "check leadership"; }
    std::string operator()(const in::snapshot_created& i) const {
        return "snapshot created at " + std::to_string(i.meta->get_last_log_idx());
    }
    std::string operator()(const in::object_read& i) const {
        return "object " + std::to_string(i.object) + " of transfer " + std::to_string(i.transfer) +
               (i.data ? " read" : " not read") + (i.last ? ", last" : "");
    }
    std::string operator()(const in::object_saved& i) const {
        return "object of #" + std::to_string(i.request) + (i.ok ? " saved" : " not saved") +
               (i.installed ? ", installed" : "");
    }
    std::string operator()(const in::pack_installed& i) const {
        return "pack of #" + std::to_string(i.request) + (i.ok ? " installed" : " not installed");
    }
    std::string operator()(const in::add_server& i) const {
        return "add server " + std::to_string(i.server->get_id());
    }
    std::string operator()(const in::remove_server& i) const {
        return "remove server " + std::to_string(i.server);
    }
    std::string operator()(const in::set_priority& i) const {
        return "set priority of " + std::to_string(i.server) + " to " + std::to_string(i.priority);
    }
    std::string operator()(const in::set_user_context&) const { return "set user context"; }
    std::string operator()(const in::update_server& i) const {
        return "update server " + std::to_string(i.server->get_id());
    }
    std::string operator()(const in::set_learner& i) const {
        return "make " + std::to_string(i.server) + (i.learner ? " a learner" : " a voter");
    }
    std::string operator()(const in::yield& i) const {
        return std::string("yield ") + (i.immediate ? "at once" : "to ") +
               (i.immediate ? "" : std::to_string(i.successor));
    }
    std::string operator()(const in::request_leadership&) const { return "request leadership"; }
    std::string operator()(const in::request_reconnect&) const { return "request reconnect"; }
    std::string operator()(const in::restart_election_timer&) const {
        return "restart election timer";
    }
    std::string operator()(const in::campaign& i) const {
        return i.forced ? "campaign, forced" : "campaign";
    }
    std::string operator()(const in::replace_config&) const { return "replace configuration"; }
    std::string operator()(const in::reconnect_at_once& i) const {
        return i.on ? "reconnect at once" : "reconnect with delays";
    }
    std::string operator()(const in::settings_changed&) const { return "settings changed"; }
    std::string operator()(const in::stop&) const { return "stop"; }
};

constexpr const char* indent = "\n        ";

void describe_saves(std::ostringstream& s, const protocol::effects& out) {
    if (out.save) {
        s << indent << "save term " << out.save->term << " vote " << out.save->voted_for
          << (out.save->catching_up ? " catching up" : "")
          << (out.save->receiving_snapshot ? " receiving snapshot" : "")
          << (out.save->election_timer_allowed ? "" : " passive");
    }
    if (out.save_config) s << indent << "save config " << describe(*out.save_config);
    for (const protocol::answer& a : out.answers) {
        s << indent << "answer #" << a.number << " code " << a.code;
        if (a.accepted) s << " accepted " << a.first_index << ".." << a.last_index;
    }
    for (const protocol::notice& n : out.notices) {
        s << indent << "notice " << name_of(n.what);
        if (n.peer >= 0) s << " peer " << n.peer;
        if (n.index > 0) s << " index " << n.index;
        if (!n.text.empty()) s << ": " << n.text;
    }
    if (out.applied_reset) s << indent << "reset applied to " << *out.applied_reset;
    if (out.write) {
        s << indent << "write " << out.write->number << ": " << out.write->first << "..";
        s << out.write->first + out.write->entries.size() - 1;
        if (out.write->discarded_end > out.write->first) {
            s << " discarding to " << out.write->discarded_end;
        }
    }
}

}  // namespace

std::string describe(const protocol::input& input) {
    return std::visit(input_text{}, input);
}

std::string describe(const protocol::effects& out) {
    std::ostringstream s;
    describe_saves(s, out);
    for (const protocol::timer_change& t : out.timers) {
        s << indent << "timer " << name_of(t.kind);
        if (t.peer >= 0) s << " " << t.peer;
        if (t.delay_ms < 0) {
            s << " off";
        } else {
            s << " in " << t.delay_ms;
        }
    }
    for (const protocol::connection_change& c : out.connections) {
        const char* what = c.what == protocol::connection_change::open      ? "open"
                           : c.what == protocol::connection_change::replace ? "replace"
                                                                            : "close";
        s << indent << what << " connection to " << c.peer;
    }
    for (const protocol::outgoing& o : out.send) {
        s << indent << "send " << o.number << " " << describe(*o.msg);
    }
    for (const protocol::reply& r : out.replies) {
        s << indent << "reply #" << r.request << " " << (r.msg ? describe(*r.msg) : "nothing");
    }
    for (const protocol::read_answer& r : out.read_answers) {
        s << indent << "read #" << r.number;
        s << (r.index ? " at " + std::to_string(*r.index) : " refused");
    }
    for (const protocol::read_object& r : out.reads) {
        s << indent << "read object " << r.object << " of snapshot " << r.meta->get_last_log_idx()
          << " for " << r.peer << ", transfer " << r.transfer;
    }
    for (const protocol::save_object& o : out.saves) {
        s << indent << "save object " << o.object->get_offset() << " of #" << o.request
          << (o.discard_log ? ", discard the log" : "");
    }
    if (out.pack) s << indent << "install pack at " << out.pack->first;
    for (uint64_t t : out.freed_transfers) s << indent << "free transfer " << t;
    if (out.commit) s << indent << "commit " << *out.commit;
    if (out.question) s << indent << "ask to commit " << out.question->expected;
    if (out.candidacy) s << indent << "ask for a term after " << out.candidacy->current;
    if (out.replicate_wanted) s << indent << "replicate wanted";
    return s.str();
}

std::string describe(req_msg& msg) {
    std::ostringstream s;
    s << msg_type_to_string(msg.get_type()) << " " << msg.get_src() << "->" << msg.get_dst()
      << " term " << msg.get_term() << " last " << msg.get_last_log_idx() << "/"
      << msg.get_last_log_term() << " commit " << msg.get_commit_idx();
    if (!msg.log_entries().empty()) {
        s << " entries";
        for (const ptr<log_entry>& entry : msg.log_entries()) {
            s << " " << entry->get_term();
            if (entry->get_val_type() == log_val_type::conf) {
                ptr<buffer> payload = buffer::clone(entry->get_buf());
                s << ":" << describe(*cluster_config::deserialize(*payload));
            }
        }
    }
    return s.str();
}

std::string describe(const resp_msg& msg) {
    std::ostringstream s;
    s << msg_type_to_string(msg.get_type()) << " " << msg.get_src() << "->" << msg.get_dst()
      << " term " << msg.get_term() << (msg.get_accepted() ? " accepted" : " refused") << " next "
      << msg.get_next_idx() << (msg.get_ctx() ? " ctx" : "");
    if (msg.get_next_batch_size_hint_in_bytes() != 0) {
        s << " hint " << msg.get_next_batch_size_hint_in_bytes();
    }
    return s.str();
}

std::string describe(const cluster_config& config) {
    std::ostringstream s;
    s << config.get_log_idx() << "{";
    const char* comma = "";
    for (const ptr<srv_config>& member : const_cast<cluster_config&>(config).get_servers()) {
        s << comma << member->get_id() << (member->is_learner() ? "L" : "")
          << (member->is_new_joiner() ? "N" : "");
        if (member->get_priority() != 1) s << "p" << member->get_priority();
        comma = ",";
    }
    s << "}";
    return s.str();
}

}  // namespace sim
