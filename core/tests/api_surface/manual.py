"""What generate.py cannot read from the tables: of which class a table speaks, C++ for rows in other
words, and why some rows hold nothing to compile. Rows are named by section and first cell."""

CLASSES = {
    "3": "buffer", "4": "buffer_serializer", "5": "logger", "6.2": "cmd_result<ptr<buffer>>",
    "7.2": "log_entry", "8.1": "srv_config", "8.2": "cluster_config", "8.3": "srv_state",
    "8.4": "snapshot", "9": "log_store", "10": "state_mgr", "11.2": "state_machine",
    "12.1": "raft_params", "12.2": "raft_params", "12.3": "raft_params", "13": "context",
    "15.1": "cb_func", "16.1": "delayed_task", "16.2": "delayed_task_scheduler",
    "17.1": "raft_server::init_options", "17.2": "raft_server::limits", "17.4": "raft_server",
    "17.3": "raft_server", "17.6": "raft_server", "17.7": "raft_server", "17.8": "raft_server",
    "17.9": "raft_server", "18.1": "asio_service", "18.2": "asio_service_meta_cb_params",
    "18.3": "asio_service_options", "19": "raft_launcher", "22.2": "msg_base", "22.3": "req_msg",
    "22.4": "resp_msg", "22.5": "rpc_exception", "23": "rpc_client", "24": "rpc_listener",
    "25": "raft_server_handler", "26": "peer", "27.1": "snapshot_sync_req",
    "27.2": "snapshot_sync_ctx", "27.3": "snapshot_io_mgr", "28": "nuraft_global_mgr",
    "29": "debugging_options", "31.1": "EventAwaiter", "31.2": "timer_helper",
    "32.2": "raft_server",
}

ENUMS = {
    "6.1": "cmd_result_code", "7.1": "log_val_type", "12.1": "raft_params", "15.2": "cb_func",
    "20": "raft_err", "22.1": "msg_type",
}

# Tables of fields that name no type.
FIELD_TYPES = {"17.2": "std::atomic<int32>"}

# What all functions of a table return, where it says so only once.
RESULTS = {"17.6": "ptr<cmd_result<ptr<buffer>>>"}

# The column with the code, where it is not the first.
COLUMNS = {"26": 1}

# Their address is not what the table says, a call is: const where the table needs no const.
CALLED_ONLY = {("31.2", "get_us"), ("31.2", "get_ms"), ("31.2", "get_sec"), ("31.2", "timeout"),
               ("27.1", "get_snapshot"), ("27.1", "get_data")}

# Members that only derived classes reach.
PROTECTED = {
    "16.1": {"exec"},
    "17.4": {"process_req"},
    "25": {"process_req"},
    "32.2": {
        "get_num_voting_members", "get_quorum_for_election", "get_quorum_for_commit",
        "get_leadership_expiry", "get_not_responding_peers", "get_not_responding_peers_count",
        "get_num_stale_peers", "is_regular_member", "for_each_voting_members",
        "is_excluded_from_quorum", "reconfigure", "set_config", "get_last_snapshot",
        "set_last_snapshot", "get_global_mgr", "check_leadership_validity", "become_follower",
        "initiate_vote", "request_append_entries", "commit_in_bg_exec",
        "append_entries_in_bg_exec", "process_req",
    },
}

PREFIX = {"6.2": ["typedef ptr<buffer> T;", "typedef ptr<std::exception> TE;"]}


def same(declared, meant):
    return "static_assert(std::is_same<%s, %s>::value, \"%s\");" % (declared, meant, meant.replace('"', ""))


def holds(condition):
    return "static_assert(%s, \"%s\");" % (condition, condition.replace('"', "'"))


def field(owner, type_name, name):
    return same("decltype(%s::%s)" % (owner, name), type_name)


def check_setter(setter, name):
    value = "true" if "bool" in setter else "77"
    return ["{ tested object; CHECK(&object.%s(%s) == &object && object.%s == %s); }" % (
        setter.split("(")[0], value, name, value)]


def shown(type_name, name):
    """A protected member of this type, or a reference to one, const or not."""
    return same("std::remove_cv<std::remove_reference<decltype(access::%s)>::type>::type" % name, type_name)


FIXED_WIDTH = [("u8", "uint8_t"), ("u16", "uint16_t"), ("u32", "uint32_t"), ("u64", "uint64_t"),
               ("i8", "int8_t"), ("i16", "int16_t"), ("i32", "int32_t"), ("i64", "int64_t")]

ROWS = {
    ("1.3", "Reached through `nuraft.hxx`"): ["// checks.hxx includes nuraft.hxx; the names below come from it."],
    ("2.2", "`ptr<T>`"): [same("ptr<int>", "std::shared_ptr<int>")],
    ("2.2", "`wptr<T>`"): [same("wptr<int>", "std::weak_ptr<int>")],
    ("2.2", "`template<typename T, typename... TArgs> ptr<T> cs_new(TArgs&&... args)`"): [
        same("decltype(cs_new<int>(1))", "ptr<int>"),
        "int by_reference = 3;",
        "CHECK(*cs_new<int>(5) == 5);",
        "ptr<std::reference_wrapper<int>> referring = cs_new<std::reference_wrapper<int>, int&>(by_reference);",
        "CHECK(&referring->get() == &by_reference);"],
    ("2.3", "`__override__`"): [
        "struct base { virtual ~base() {} virtual int f() { return 1; } };",
        "struct derived : base { int f() __override__ { return 2; } };",
        "CHECK(static_cast<base&&>(derived()).f() == 2);"],
    ("2.3", "`__nocopy__(C)`"): [
        "struct not_copied { not_copied() {} __nocopy__(not_copied) public: int after = 1; };",
        "struct not_copied_either { not_copied_either() {} __nocopy__(not_copied_either); public: int after = 1; };",
        holds("!std::is_copy_constructible<not_copied>::value"),
        holds("!std::is_copy_assignable<not_copied_either>::value"),
        "CHECK(not_copied().after + not_copied_either().after == 2);"],
    ("2.3", "`nilptr`"): [same("decltype(nilptr)", "std::nullptr_t")],
    ("2.3", "`__interface_body__(C)`"): [
        "struct interface { __interface_body__(interface) };",
        "struct interface_too { __interface_body__(interface_too); };",
        holds("std::has_virtual_destructor<interface>::value && std::is_default_constructible<interface_too>::value"),
        holds("!std::is_copy_constructible<interface>::value")],
    ("2.3", "`auto_lock(m)`"): ["{ std::mutex m; auto_lock(m);", same("decltype(guard)", "std::lock_guard<std::mutex>"), "(void)guard; }"],
    ("2.3", "`recur_lock(m)`"): ["{ std::recursive_mutex m; recur_lock(m);", same("decltype(guard)", "std::unique_lock<std::recursive_mutex>"), "CHECK(guard.owns_lock()); }"],
    ("2.3", "`sz_int`, `sz_ulong`, `sz_byte`"): [holds("sz_int == 4 && sz_ulong == 8 && sz_byte == 1")],
    ("3", "`std::ostream& operator<<(std::ostream&, buffer&)` (in `nuraft`)"): [
        "(void)static_cast<std::ostream& (*)(std::ostream&, buffer&)>(&nuraft::operator<<);"],
    ("3", "`std::istream& operator>>(std::istream&, buffer&)` (in `nuraft`)"): [
        "(void)static_cast<std::istream& (*)(std::istream&, buffer&)>(&nuraft::operator>>);"],
    ("4", "`enum endianness { LITTLE = 0x0, BIG = 0x1 }`"): [
        holds("tested::LITTLE == 0x0 && tested::BIG == 0x1"), same("decltype(tested::BIG)", "tested::endianness"),
        holds("std::is_convertible<tested::endianness COMMA int>::value").replace(" COMMA", ",")],
    ("4", "`void put_u8(uint8_t)` `put_u16(uint16_t)` `put_u32(uint32_t)` `put_u64(uint64_t)` `put_i8(int8_t)` `put_i16(int16_t)` `put_i32(int32_t)` `put_i64(int64_t)`"): [
        "(void)static_cast<void (tested::*)(%s)>(&tested::put_%s);" % (t, n) for n, t in FIXED_WIDTH],
    ("8.1", "`const static int32 INIT_PRIORITY = 1`"): [
        holds("tested::INIT_PRIORITY == 1"), field("tested", "const int32", "INIT_PRIORITY"),
        "CHECK(*std::min(&tested::INIT_PRIORITY, &tested::INIT_PRIORITY) == 1);"],
    ("8.2", "`~cluster_config()`"): [holds("std::is_destructible<tested>::value && !std::has_virtual_destructor<tested>::value")],
    ("8.4", "`enum type : uint8_t { raw_binary = 0x1, logical_object = 0x2 }`"): [
        holds("tested::raw_binary == 1 && tested::logical_object == 2"),
        same("std::underlying_type<tested::type>::type", "uint8_t")],
    ("9", "`virtual ptr<std::vector<ptr<log_entry>>> log_entries_ext(ulong start, ulong end, int64 batch_size_hint_in_bytes = 0)` virt → `log_entries(start, end)`"): [
        "(void)static_cast<ptr<std::vector<ptr<log_entry>>> (tested::*)(ulong, ulong, int64)>(&tested::log_entries_ext);",
        "(void)sizeof(std::declval<tested&>().log_entries_ext(ulong(), ulong()));"],
    ("9", "`virtual void compact_async(ulong last_log_index, const async_result<bool>::handler_type& when_done)` virt → `compact` then `when_done(rc, null)`"): [
        "(void)static_cast<void (tested::*)(ulong, const async_result<bool>::handler_type&)>(&tested::compact_async);"],
    ("9", "`virtual ulong last_durable_index()` virt → `next_slot() - 1`"): [
        "(void)static_cast<ulong (tested::*)()>(&tested::last_durable_index);"],
    ("11.1", "`struct ext_op_params`"): [
        holds("std::is_constructible<state_machine::ext_op_params COMMA ulong COMMA ptr<buffer>&>::value").replace(" COMMA", ","),
        field("state_machine::ext_op_params", "ulong", "log_idx"),
        field("state_machine::ext_op_params", "ptr<buffer>&", "data")],
    ("11.1", "`struct adjust_commit_index_params`"): [
        field("state_machine::adjust_commit_index_params", "uint64_t", "current_commit_index_"),
        field("state_machine::adjust_commit_index_params", "uint64_t", "expected_commit_index_"),
        same("decltype(state_machine::adjust_commit_index_params::peer_index_map_)", "std::unordered_map<int, uint64_t>"),
        "{ state_machine::adjust_commit_index_params p; CHECK(p.current_commit_index_ == 0 && p.expected_commit_index_ == 0 && p.peer_index_map_.empty()); }"],
    ("13", "public fields"): [field("tested", t, n) for t, n in [
        ("ptr<state_mgr>", "state_mgr_"), ("ptr<state_machine>", "state_machine_"),
        ("ptr<rpc_listener>", "rpc_listener_"), ("ptr<logger>", "logger_"),
        ("ptr<rpc_client_factory>", "rpc_cli_factory_"), ("ptr<delayed_task_scheduler>", "scheduler_"),
        ("std::shared_ptr<raft_params>", "params_"), ("cb_func", "cb_func_"),
        ("global_mgr*", "custom_global_mgr_"), ("std::mutex", "ctx_lock_")]],
    ("15.1", "`enum Type`"): [holds("std::is_enum<tested::Type>::value"), same("decltype(tested::ProcessReq)", "tested::Type")],
    ("15.1", "`struct Param`"): [
        field("tested::Param", "int32_t", "myId"), field("tested::Param", "int32_t", "leaderId"),
        field("tested::Param", "int32_t", "peerId"), field("tested::Param", "void*", "ctx"),
        "{ tested::Param p; CHECK(p.myId == -1 && p.leaderId == -1 && p.peerId == -1 && !p.ctx); }",
        "{ int x = 0; tested::Param p(1, 2, 3, &x); CHECK(p.myId == 1 && p.leaderId == 2 && p.peerId == 3 && p.ctx == &x); }"],
    ("15.1", "`struct ReqResp`"): [
        field("tested::ReqResp", "req_msg*", "req"), field("tested::ReqResp", "ptr<resp_msg>", "resp"),
        "{ tested::ReqResp r; CHECK(!r.req && !r.resp); }"],
    ("15.1", "`enum ReturnCode`"): [holds("tested::Ok == 0 && tested::ReturnNull == -1"), same("decltype(tested::Ok)", "tested::ReturnCode")],
    ("15.1", "`struct OutOfLogRangeWarningArgs`"): [
        field("tested::OutOfLogRangeWarningArgs", "uint64_t", "startIdxOfLeader"),
        "CHECK(tested::OutOfLogRangeWarningArgs().startIdxOfLeader == 0 && tested::OutOfLogRangeWarningArgs(7).startIdxOfLeader == 7);"],
    ("15.1", "`struct ConnectionArgs`"): [field("tested::ConnectionArgs", t, n) for t, n in [
        ("uint64_t", "sessionId"), ("std::string", "address"), ("uint32_t", "port"),
        ("int32_t", "srvId"), ("bool", "isLeader")]] + [
        "{ tested::ConnectionArgs a; CHECK(a.sessionId == 0 && a.address.empty() && a.port == 0 && a.srvId == -1 && !a.isLeader); }",
        "{ tested::ConnectionArgs a(1, \"x\", 2, 3, true); CHECK(a.sessionId == 1 && a.address == \"x\" && a.port == 2 && a.srvId == 3 && a.isLeader); }"],
    ("16.1", "`delayed_task(int32 type = 0)`"): [
        "struct task : delayed_task { task() {} task(int32 type) : delayed_task(type) {} void exec() override {} };",
        "CHECK(task().get_type() == 0 && task(2).get_type() == 2 && !task().get_impl_context());"],
    ("16.3", "`enum timer_task_type` (unscoped)"): [
        holds("timer_task_type::election_timer == 0x1 && timer_task_type::heartbeat_timer == 0x2"),
        same("decltype(nuraft::election_timer)", "timer_task_type")],
    ("16.3", "`template<typename T> class timer_task : public delayed_task`"): [
        same("timer_task<int32>::executor", "std::function<void(int32)>"),
        holds("std::is_base_of<delayed_task COMMA timer_task<int32>>::value").replace(" COMMA", ","),
        "{ int32 got = 0; timer_task<int32>::executor e = [&got](int32 x) { got = x; }; timer_task<int32> t(e, 9); t.execute(); CHECK(got == 9 && t.get_type() == 0); }",
        "{ timer_task<int32>::executor none; timer_task<int32> t(none, 9, 2); t.execute(); CHECK(t.get_type() == 2); }"],
    ("16.3", "`template<> class timer_task<void>`"): [
        same("timer_task<void>::executor", "std::function<void()>"),
        holds("!std::is_convertible<timer_task<void>::executor& COMMA timer_task<void>>::value").replace(" COMMA", ","),
        "{ int runs = 0; timer_task<void>::executor e = [&runs] { ++runs; }; timer_task<void> t(e, 1); t.execute(); t.cancel(); t.execute(); CHECK(runs == 1 && t.get_type() == 1); }"],
    ("17.1", "`skip_initial_election_timeout_`"): [field("tested", "bool", "skip_initial_election_timeout_"), "CHECK(!tested().skip_initial_election_timeout_);"],
    ("17.1", "`raft_callback_`"): [field("tested", "cb_func::func_type", "raft_callback_"), "CHECK(!tested().raft_callback_);"],
    ("17.1", "`start_server_in_constructor_`"): [field("tested", "bool", "start_server_in_constructor_"), "CHECK(tested().start_server_in_constructor_);"],
    ("17.1", "`test_mode_flag_`"): [field("tested", "bool", "test_mode_flag_"), "CHECK(!tested().test_mode_flag_);"],
    ("17.1", "ctors"): ["{ tested o(true, false, true); CHECK(o.skip_initial_election_timeout_ && !o.start_server_in_constructor_ && o.test_mode_flag_); }"],
    ("17.3", "`struct req_ext_cb_params`"): [
        field("tested::req_ext_cb_params", "uint64_t", "log_idx"), field("tested::req_ext_cb_params", "uint64_t", "log_term"),
        field("tested::req_ext_cb_params", "void*", "context"),
        "{ tested::req_ext_cb_params p; CHECK(p.log_idx == 0 && p.log_term == 0 && !p.context); }"],
    ("17.3", "`struct req_ext_params`"): [
        field("tested::req_ext_params", "tested::req_ext_cb", "after_precommit_"), field("tested::req_ext_params", "uint64_t", "expected_term_"),
        field("tested::req_ext_params", "void*", "context_"),
        "{ tested::req_ext_params p; CHECK(!p.after_precommit_ && p.expected_term_ == 0 && !p.context_); }"],
    ("17.3", "`enum class PrioritySetResult { SET, BROADCAST, IGNORED }`"): [
        holds("static_cast<int>(tested::PrioritySetResult::SET) == 0 && static_cast<int>(tested::PrioritySetResult::BROADCAST) == 1 && static_cast<int>(tested::PrioritySetResult::IGNORED) == 2"),
        holds("!std::is_convertible<tested::PrioritySetResult COMMA int>::value").replace(" COMMA", ",")],
    ("17.3", "`struct peer_info`"): [field("tested::peer_info", t, n) for t, n in [
        ("int32", "id_"), ("ulong", "last_log_idx_"), ("ulong", "last_sm_committed_idx_"), ("ulong", "last_succ_resp_us_")]] + [
        "{ tested::peer_info i; CHECK(i.id_ == -1 && i.last_log_idx_ == 0 && i.last_sm_committed_idx_ == 0 && i.last_succ_resp_us_ == 0); }"],
    ("17.3", "`struct create_snapshot_options`"): [
        field("tested::create_snapshot_options", "bool", "serialize_commit_"), "CHECK(!tested::create_snapshot_options().serialize_commit_);"],
    ("18.1", "`~asio_service()`"): [holds("std::is_destructible<tested>::value")],
    ("22.3", "`static constexpr uint64_t EXCLUDED_FROM_THE_QUORUM = 0x1`"): [holds("tested::EXCLUDED_FROM_THE_QUORUM == 0x1"), field("tested", "const uint64_t", "EXCLUDED_FROM_THE_QUORUM")],
    ("22.4", "`static constexpr uint64_t SELF_MARK_DOWN = 0x1`"): [holds("tested::SELF_MARK_DOWN == 0x1"), field("tested", "const uint64_t", "SELF_MARK_DOWN")],
    ("23", "`using rpc_result`"): [same("rpc_result", "async_result<ptr<resp_msg>, ptr<rpc_exception>>")],
    ("23", "`using rpc_handler`"): [same("rpc_handler", "std::function<void(ptr<resp_msg>&, ptr<rpc_exception>&)>")],
    ("24", "`typedef raft_server msg_handler`"): [same("msg_handler", "raft_server")],
    ("24", "`class rpc_listener` (interface)"): [
        "struct listening : tested { void listen(ptr<msg_handler>&) override {} void stop() override {} };",
        "listening().shutdown();", holds("std::has_virtual_destructor<tested>::value")],
    ("28", "overrides of the four interface functions"): [
        holds("std::is_base_of<global_mgr COMMA tested>::value && std::is_default_constructible<tested>::value && !std::is_copy_constructible<tested>::value").replace(" COMMA", ","),
        "struct overriding : tested { void init_raft_server(raft_server*) override; void close_raft_server(raft_server*) override; void request_append(ptr<raft_server>) override; void request_commit(ptr<raft_server>) override; };",
        "(void)sizeof(wrap<overriding>);"],
    ("28", "`virtual void init_raft_server(raft_server* server)`"): ["(void)static_cast<void (global_mgr::*)(raft_server*)>(&global_mgr::init_raft_server);"],
    ("28", "`virtual void close_raft_server(raft_server* server)`"): ["(void)static_cast<void (global_mgr::*)(raft_server*)>(&global_mgr::close_raft_server);"],
    ("28", "`virtual void request_append(ptr<raft_server> server)`"): ["(void)static_cast<void (global_mgr::*)(ptr<raft_server>)>(&global_mgr::request_append);"],
    ("28", "`virtual void request_commit(ptr<raft_server> server)`"): ["(void)static_cast<void (global_mgr::*)(ptr<raft_server>)>(&global_mgr::request_commit);"],
    ("31.2", "public fields"): [
        same("decltype(tested::t_created_)", "std::chrono::time_point<std::chrono::steady_clock>"), field("tested", "size_t", "duration_us_"),
        field("tested", "bool", "first_event_fired_"), field("tested", "std::mutex", "lock_")],
    ("32.1", "`template<int N> class strfmt`"): [
        holds("std::is_convertible<const char* COMMA strfmt<8>>::value || std::is_constructible<strfmt<8> COMMA const char*>::value").replace(" COMMA", ","),
        holds("!std::is_copy_constructible<strfmt<8>>::value"),
        "std::string text(\"12345\");",
        "CHECK(std::string(strfmt<8>(\"%d-%d\").fmt(12, 3)) == \"12-3\" && std::string(strfmt<4>(text.c_str()).fmt()) == \"123\");"],
    ("32.1", "`sstrfmt`, `lstrfmt`"): [same("sstrfmt", "strfmt<100>"), same("lstrfmt", "strfmt<200>")],
    ("32.1", "`ATTR_UNUSED`"): ["int unused ATTR_UNUSED = 0;"],
}

ROWS.update({("2.1", "`%s`" % name): [same("nuraft::" + name, meant)] for name, meant in [
    ("ulong", "uint64_t"), ("int64", "int64_t"), ("any_ptr", "void*"), ("byte", "unsigned char"),
    ("ushort", "uint16_t"), ("uint", "uint32_t"), ("int32", "int32_t")]})

# Protected members of the server that have no honest meaning here: its rules and its queue of effects
# are not made of these.
LEFT_OUT = {
    "become_leader": "only an election makes a leader",
    "commit": "only a quorum commits",
    "commit_in_bg": "the body of a thread that the server owns",
    "append_entries_in_bg": "the body of a thread that the server owns",
    "srv_to_join_snp_retry_required_": "joining has no such state",
    "lagging_sm_target_index_": "kept by the rules alone",
    "et_cnt_receiving_snapshot_": "election timeouts are not counted while a snapshot comes",
    "vote_init_timer_term_": "there is no such timer",
    "sm_commit_notifier_target_idx_": "kept by the rules alone",
    "sm_commit_notifier_notified_idx_": "kept by the rules alone",
    "rpc_clients_": "forwarding has a pool, not a client for each server",
    "stale_config_": "an old configuration is not kept",
}

PROSE = {
    "0.1": "words used", "0.2": "threads", "0.3": "locks",
    "1.1": "cmake/test_package.cmake installs, moves and uses the package",
    "1.2": "build options: cmake/test_options.cmake",
    ("1.3", "Must be included explicitly"): "target public_headers compiles each header alone",
    ("1.3", "Standard headers user code gets through `nuraft.hxx` (existing programs rely on this)"): "nuraft.hxx includes them itself",
    "6.3": "behaviour: tests/api", "11.3": "behaviour: tests/api",
    "14.1": "behaviour: tests/rules, tests/sim", "14.2": "behaviour: tests/rules, tests/api",
    "14.3": "behaviour: tests/rules", "21.2": "prohibitions", "21.5": "ownership", "21.7": "thread-safety and lifetime",
    "25.1": "payloads: tests/transport", "25.2": "sequences: tests/api",
    "30": "tests/stats", "33": "quirks: decided in the tables above",
    ("32.1", "forward declarations"): "no part of the API",
}
for _case in ["empty vector", "no leader known", "not leader, forwarding off; or writes paused",
              "stopping, or callback returned `ReturnNull`", "blocking, committed in time",
              "blocking, not committed in time", "blocking, leadership lost / shutdown meanwhile",
              "async_handler, accepted", "async_handler, leadership lost / shutdown", "asynchronous replication"]:
    PROSE[("17.6", _case)] = "outcomes: tests/api"

# Said in sentences, not in tables.
EXTRA = {
    "18.2": [field("tested", t, n) for t, n in [
        ("int", "msg_type_"), ("int", "src_id_"), ("int", "dst_id_"), ("uint64_t", "term_"), ("uint64_t", "log_term_"),
        ("uint64_t", "log_idx_"), ("uint64_t", "commit_idx_"), ("req_msg*", "req_"), ("resp_msg*", "resp_")]] + [
        "{ tested p(1, 2, 3, 4, 5, 6, 7); CHECK(p.msg_type_ == 1 && p.src_id_ == 2 && p.dst_id_ == 3 && p.term_ == 4 && p.log_term_ == 5 && p.log_idx_ == 6 && p.commit_idx_ == 7 && !p.req_ && !p.resp_); }",
        same("asio_service_custom_resolver_response", "std::function<void(const std::string&, const std::string&, std::error_code)>")],
    "22.2": [
        "(void)static_cast<ulong (tested::*)() const>(&tested::get_term);", "(void)static_cast<msg_type (tested::*)() const>(&tested::get_type);",
        "(void)static_cast<int32 (tested::*)() const>(&tested::get_src);", "(void)static_cast<int32 (tested::*)() const>(&tested::get_dst);",
        holds("std::has_virtual_destructor<tested>::value && !std::is_copy_constructible<tested>::value"),
        holds("std::is_constructible<tested COMMA ulong COMMA msg_type COMMA int COMMA int>::value").replace(" COMMA", ",")],
    "22.5": [
        "(void)static_cast<ptr<req_msg> (tested::*)() const>(&tested::req);",
        holds("std::is_base_of<std::exception COMMA tested>::value && !std::is_copy_constructible<tested>::value").replace(" COMMA", ","),
        "CHECK(std::string(tested(\"text\", nullptr).what()) == \"text\");"],
    "12.3": ["{ tested object; CHECK(object.max_hb_interval() == 188); }"],
    "22.1": [
        "CHECK(is_valid_msg(static_cast<msg_type>(1)) && is_valid_msg(static_cast<msg_type>(29)) && !is_valid_msg(static_cast<msg_type>(0)) && !is_valid_msg(static_cast<msg_type>(30)));",
        "CHECK(msg_type_to_string(msg_type::ping_request) == \"ping_request\" && msg_type_to_string(static_cast<msg_type>(99)).find(\"99\") != std::string::npos);"],
    "28": [
        field("nuraft_global_config", "size_t", "num_commit_threads_"), field("nuraft_global_config", "size_t", "num_append_threads_"),
        field("nuraft_global_config", "size_t", "max_scheduling_unit_ms_"),
        "{ nuraft_global_config g; CHECK(g.num_commit_threads_ == 1 && g.num_append_threads_ == 1 && g.max_scheduling_unit_ms_ == 200); }",
        "CHECK(__DEFAULT_NURAFT_GLOBAL_CONFIG.num_commit_threads_ == 1);"],
    "29": [
        field("tested", "std::atomic<bool>", "disable_reconn_backoff_"), field("tested", "std::atomic<size_t>", "handle_cli_req_sleep_us_"),
        "CHECK(&tested::get_instance() == &tested::get_instance() && !tested().disable_reconn_backoff_ && tested().handle_cli_req_sleep_us_ == 0);"],
    "17.3": [same("tested::req_ext_cb", "std::function<void(const tested::req_ext_cb_params&)>"), same("CbReturnCode", "cb_func::ReturnCode")],
    "8.5": [holds("srv_role::follower == 1 && srv_role::candidate == 2 && srv_role::leader == 3"),
            "CHECK(srv_role_to_string(srv_role::leader) == \"leader\" && srv_role_to_string(static_cast<srv_role>(9)) == \"UNKNOWN\");"],
    "20": [holds("sizeof(raft_err_msg[0]) == sizeof(const char*)"), "CHECK(raft_err_msg[23] != nullptr);"],
    "23": ["struct factory : rpc_client_factory { ptr<rpc_client> create_client(const std::string&) override { return nullptr; } };", "CHECK(!factory().create_client(\"\"));"],
    "17.4": ["(void)static_cast<ptr<resp_msg> (raft_server::*)(req_msg&, const raft_server::req_ext_params&)>(&access::process_req);"],
    "17.2": ["{ tested from; " + " ".join("from.%s_ = %d;" % (n, 100 + i) for i, n in enumerate(
        ["pre_vote_rejection_limit", "warning_limit", "response_limit", "leadership_limit", "reconnect_limit", "leave_limit",
         "vote_limit", "busy_connection_limit", "full_consensus_leader_limit", "full_consensus_follower_limit"])) +
        " tested copy(from), assigned; assigned = from; CHECK(" + " && ".join("copy.%s_ == %d && assigned.%s_ == %d" % (n, 100 + i, n, 100 + i) for i, n in enumerate(
        ["pre_vote_rejection_limit", "warning_limit", "response_limit", "leadership_limit", "reconnect_limit", "leave_limit",
         "vote_limit", "busy_connection_limit", "full_consensus_leader_limit", "full_consensus_follower_limit"])) + "); }"],
}
