#include "protocol/membership.hxx"

#include <map>

#include "protocol/mutation.hxx"

namespace nuraft {
namespace protocol {

namespace {

ptr<srv_config> copy_of(const srv_config& s) {
    auto copy = cs_new<srv_config>(s.get_id(), s.get_dc_id(), s.get_endpoint(), s.get_aux(),
                                   s.is_learner(), s.get_priority());
    copy->set_new_joiner(s.is_new_joiner());
    return copy;
}

ptr<cluster_config> without_servers(const cluster_config& config) {
    auto copy = cs_new<cluster_config>(config.get_log_idx(), config.get_prev_log_idx(),
                                       config.is_async_replication());
    copy->set_user_ctx(config.get_user_ctx());
    return copy;
}

}  // namespace

ptr<cluster_config> copy_of(const cluster_config& config) {
    ptr<cluster_config> copy = without_servers(config);
    for (const ptr<srv_config>& s : config.get_servers()) {
        copy->get_servers().push_back(copy_of(*s));
    }
    return copy;
}

ptr<cluster_config> with_server(const cluster_config& config, const srv_config& server) {
    ptr<cluster_config> copy = copy_of(config);
    for (ptr<srv_config>& s : copy->get_servers()) {
        if (s->get_id() == server.get_id()) {
            s = copy_of(server);
            return copy;
        }
    }
    copy->get_servers().push_back(copy_of(server));
    return copy;
}

ptr<cluster_config> without_server(const cluster_config& config, int32_t id) {
    ptr<cluster_config> copy = without_servers(config);
    for (const ptr<srv_config>& s : config.get_servers()) {
        if (s->get_id() != id) copy->get_servers().push_back(copy_of(*s));
    }
    return copy;
}

ptr<cluster_config> with_change(const cluster_config& config, int32_t id,
                                const std::function<void(srv_config&)>& change) {
    ptr<cluster_config> copy = copy_of(config);
    for (ptr<srv_config>& s : copy->get_servers()) {
        if (s->get_id() == id) change(*s);
    }
    return copy;
}

bool same_members(const cluster_config& a, const cluster_config& b, int32_t except) {
    auto members = [except](const cluster_config& config) {
        std::map<int32_t, std::string> found;
        for (const ptr<srv_config>& s : config.get_servers()) {
            if (s->get_id() != except) found[s->get_id()] = s->get_endpoint();
        }
        return found;
    };
    return members(a) == members(b);
}

bool is_regular(const srv_config& server) {
    return (!server.is_learner() && !server.is_new_joiner()) || mutated(mutation::vote_by_learner);
}

int32_t voters_of(const cluster_config& config) {
    int32_t count = 0;
    for (const ptr<srv_config>& s : config.get_servers()) count += is_regular(*s) ? 1 : 0;
    return count;
}

bool keeps_voters(const cluster_config& before, const cluster_config& after) {
    for (const ptr<srv_config>& s : before.get_servers()) {
        if (!is_regular(*s)) continue;
        ptr<srv_config> then = after.get_server(s->get_id());
        if (!then || !is_regular(*then)) return false;
    }
    return true;
}

bool same_voters(const cluster_config& a, const cluster_config& b) {
    return keeps_voters(a, b) && keeps_voters(b, a);
}

bool has_voters(const cluster_config& config) {
    return voters_of(config) > 0;
}

int32_t quorum_of(int32_t voters, int32_t custom) {
    const int32_t majority =
        mutated(mutation::quorum_too_small) ? (voters + 1) / 2 : voters / 2 + 1;
    return custom >= 1 && custom <= voters ? custom : majority;
}

}  // namespace protocol
}  // namespace nuraft
