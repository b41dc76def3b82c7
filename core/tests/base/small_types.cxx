#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <thread>
#include <type_traits>

#include "debugging_options.hxx"
#include "nuraft.hxx"
#include "strfmt.hxx"

using namespace nuraft;

static_assert(std::is_same<nuraft::ulong, uint64_t>::value, "api 2.1");
static_assert(std::is_same<nuraft::int64, int64_t>::value, "api 2.1");
static_assert(std::is_same<nuraft::any_ptr, void*>::value, "api 2.1");
static_assert(std::is_same<nuraft::byte, unsigned char>::value, "api 2.1");
static_assert(std::is_same<nuraft::ushort, uint16_t>::value, "api 2.1");
static_assert(std::is_same<nuraft::uint, uint32_t>::value, "api 2.1");
static_assert(std::is_same<nuraft::int32, int32_t>::value, "api 2.1");
static_assert(sz_int == 4 && sz_ulong == 8 && sz_byte == 1, "api 2.3");

namespace {

class interface {
    __interface_body__(interface);

public:
    virtual int answer() = 0;
};

class implementation : public interface {
public:
    int answer() __override__ { return 42; }
};

class single {
public:
    explicit single(const std::string& text) : text_(text) {}
    const std::string text_;
    __nocopy__(single)
};

static_assert(!std::is_copy_constructible<single>::value, "__nocopy__");
static_assert(!std::is_copy_assignable<implementation>::value, "__interface_body__");
static_assert(std::has_virtual_destructor<interface>::value, "__interface_body__");

}  // namespace

TEST(small_types, unqualified_names_are_unambiguous) {
    ulong a = 1;
    uint b = 2;
    ushort c = 3;
    EXPECT_EQ(6u, a + b + c);
}

TEST(small_types, interfaces_and_shared_pointers) {
    ptr<interface> object = cs_new<implementation>();
    EXPECT_EQ(42, object->answer());
    wptr<interface> weak = object;
    object = nilptr;
    EXPECT_TRUE(weak.expired());
    std::string text = "by reference";
    EXPECT_EQ(text, (cs_new<single, const std::string&>(text)->text_));
}

TEST(small_types, lock_macros_hold_until_the_end_of_the_scope) {
    std::mutex plain;
    std::recursive_mutex recursive;
    {
        auto_lock(plain);
        std::thread other([&] { EXPECT_FALSE(plain.try_lock()); });
        other.join();
    }
    {
        recur_lock(recursive);
        guard.unlock();
        guard.lock();
        std::thread other([&] { EXPECT_FALSE(recursive.try_lock()); });
        other.join();
    }
    EXPECT_TRUE(plain.try_lock());
    plain.unlock();
    std::thread other([&] {
        ASSERT_TRUE(recursive.try_lock());
        recursive.unlock();
    });
    other.join();
}

TEST(small_types, strfmt_formats_and_cuts) {
    EXPECT_STREQ("7 and x", sstrfmt("%d and %s").fmt(7, "x"));
    // Volatile, because the compiler warns where it can see that text will be cut.
    volatile int width = 6;
    strfmt<4> narrow("%-*d");
    EXPECT_STREQ("7  ", narrow.fmt(width, 7));
    width = 2;
    EXPECT_STREQ("8 ", narrow.fmt(width, 8));
    width = 300;
    EXPECT_EQ(199u, std::strlen(lstrfmt("%*d").fmt(width, 1)));
}

TEST(small_types, roles_have_names) {
    EXPECT_EQ(1, srv_role::follower);
    EXPECT_EQ(2, srv_role::candidate);
    EXPECT_EQ(3, srv_role::leader);
    EXPECT_EQ("follower", srv_role_to_string(srv_role::follower));
    EXPECT_EQ("candidate", srv_role_to_string(srv_role::candidate));
    EXPECT_EQ("leader", srv_role_to_string(srv_role::leader));
    EXPECT_EQ("UNKNOWN", srv_role_to_string(static_cast<srv_role>(9)));
}

TEST(small_types, messages_have_names_and_bounds) {
    std::set<std::string> names;
    for (int type = 1; type <= 29; ++type) {
        EXPECT_TRUE(is_valid_msg(static_cast<msg_type>(type)));
        names.insert(msg_type_to_string(static_cast<msg_type>(type)));
    }
    EXPECT_EQ(29u, names.size());
    EXPECT_FALSE(is_valid_msg(static_cast<msg_type>(0)));
    EXPECT_FALSE(is_valid_msg(static_cast<msg_type>(30)));
    EXPECT_EQ("request_vote_request", msg_type_to_string(static_cast<msg_type>(1)));
    EXPECT_EQ("client_request", msg_type_to_string(static_cast<msg_type>(5)));
    EXPECT_EQ("install_snapshot_request", msg_type_to_string(static_cast<msg_type>(16)));
    EXPECT_EQ("pre_vote_response", msg_type_to_string(static_cast<msg_type>(21)));
    EXPECT_EQ("custom_notification_response", msg_type_to_string(static_cast<msg_type>(29)));
    EXPECT_EQ("unknown (30)", msg_type_to_string(static_cast<msg_type>(30)));
}

TEST(small_types, log_value_types_have_their_numbers) {
    EXPECT_EQ(1, log_val_type::app_log);
    EXPECT_EQ(2, log_val_type::conf);
    EXPECT_EQ(3, log_val_type::cluster_server);
    EXPECT_EQ(4, log_val_type::log_pack);
    EXPECT_EQ(5, log_val_type::snp_sync_req);
    EXPECT_EQ(231, log_val_type::custom);
    static_assert(sizeof(log_val_type) == 1, "as on the wire");
}

TEST(small_types, fatal_errors_have_texts) {
    EXPECT_EQ(-23, N23_precommit_order_inversion);
    std::set<std::string> texts;
    for (int code = 0; code >= N23_precommit_order_inversion; --code) {
        texts.insert(raft_err_msg[-code]);
    }
    EXPECT_EQ(24u, texts.size());
}

TEST(small_types, logger_does_nothing_until_overridden) {
    class quiet : public logger {};
    quiet log;
    EXPECT_EQ(6, log.get_level());
    log.set_level(3);
    EXPECT_EQ(6, log.get_level());
    log.put_details(4, "file", "function", 1, "line");
}

TEST(small_types, callback_without_function_says_ok) {
    cb_func none;
    cb_func::Param param(1, 2, 3);
    EXPECT_EQ(CbReturnCode::Ok, none.call(cb_func::BecomeLeader, &param));
    cb_func some([](cb_func::Type type, cb_func::Param* p) {
        return type == cb_func::SaveSnapshot && p->peerId == 3 ? cb_func::ReturnNull : cb_func::Ok;
    });
    EXPECT_EQ(cb_func::ReturnNull, some.call(cb_func::SaveSnapshot, &param));
    EXPECT_EQ(cb_func::Ok, some.call(cb_func::BecomeLeader, &param));
    EXPECT_EQ(30, cb_func::LeaderSmCatchingUp);
    EXPECT_EQ(17, cb_func::ConnectionClosed);
}

TEST(small_types, debugging_options_are_one_set) {
    debugging_options& options = debugging_options::get_instance();
    EXPECT_FALSE(options.disable_reconn_backoff_);
    EXPECT_EQ(0u, options.handle_cli_req_sleep_us_);
    EXPECT_EQ(&options, &debugging_options::get_instance());
}
