#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <set>
#include <stdexcept>
#include <thread>

#include "async.hxx"

using namespace nuraft;

namespace {

using text_result = cmd_result<std::string>;
using error_ptr = ptr<std::exception>;

constexpr std::chrono::seconds deadline(20);

error_ptr no_error;

}  // namespace

TEST(cmd_result, pending_at_first) {
    text_result result;
    EXPECT_FALSE(result.has_result());
    EXPECT_FALSE(result.get_accepted());
    EXPECT_EQ(RESULT_NOT_EXIST_YET, result.get_result_code());
    result.set_result_code(cmd_result_code::CANCELLED);
    EXPECT_EQ(RESULT_NOT_EXIST_YET, result.get_result_code());
}

TEST(cmd_result, made_complete) {
    std::string value = "v";
    text_result plain(value);
    EXPECT_TRUE(plain.has_result());
    EXPECT_FALSE(plain.get_accepted());
    EXPECT_EQ(cmd_result_code::OK, plain.get_result_code());
    EXPECT_EQ("v", plain.get());

    text_result refused(value, cmd_result_code::NOT_LEADER);
    EXPECT_FALSE(refused.get_accepted());
    EXPECT_EQ(cmd_result_code::NOT_LEADER, refused.get_result_code());

    text_result accepted(value, true, cmd_result_code::TIMEOUT);
    EXPECT_TRUE(accepted.get_accepted());
    EXPECT_EQ(cmd_result_code::TIMEOUT, accepted.get_result_code());
}

TEST(cmd_result, of_bool_tells_code_from_accepted_flag) {
    bool value = true;
    EXPECT_TRUE(cmd_result<bool>(value, true).get_accepted());
    EXPECT_EQ(cmd_result_code::FAILED,
              cmd_result<bool>(value, cmd_result_code::FAILED).get_result_code());
}

TEST(cmd_result, made_from_a_handler_counts_as_complete_and_still_runs_it) {
    std::string seen;
    text_result::handler_type handler = [&](std::string& value, error_ptr&) { seen = value; };
    text_result result(handler);
    EXPECT_TRUE(result.has_result());
    EXPECT_EQ(cmd_result_code::OK, result.get_result_code());
    EXPECT_EQ("", result.get());
    EXPECT_EQ("", seen);
    std::string value = "late";
    result.set_result(value, no_error);
    EXPECT_EQ("late", seen);

    text_result from_null(nullptr);
    EXPECT_TRUE(from_null.has_result());
    from_null.set_result(value, no_error);
    EXPECT_EQ("late", from_null.get());
}

TEST(cmd_result, handler_installed_before_runs_in_the_completing_thread) {
    text_result result;
    std::thread::id ran_in;
    std::string seen;
    result.when_ready([&](std::string& value, error_ptr& err) {
        EXPECT_EQ(nullptr, err);
        EXPECT_TRUE(result.has_result());
        seen = value;
        ran_in = std::this_thread::get_id();
    });
    std::thread other([&] {
        std::string value = "v";
        result.set_result(value, no_error, cmd_result_code::OK);
    });
    const std::thread::id completing = other.get_id();
    other.join();
    EXPECT_EQ("v", seen);
    EXPECT_EQ(completing, ran_in);
}

TEST(cmd_result, handler_installed_after_runs_inline) {
    std::string value = "v";
    text_result result(value);
    std::thread::id ran_in;
    result.when_ready([&](std::string& seen, error_ptr&) {
        EXPECT_EQ("v", seen);
        ran_in = std::this_thread::get_id();
    });
    EXPECT_EQ(std::this_thread::get_id(), ran_in);
}

TEST(cmd_result, second_kind_of_handler_gets_the_result_before_and_after) {
    text_result result;
    cmd_result_code before = cmd_result_code::FAILED;
    cmd_result_code after = cmd_result_code::FAILED;
    result.when_ready([&](text_result& r, error_ptr&) { before = r.get_result_code(); });
    std::string value;
    result.set_result(value, no_error, cmd_result_code::CANCELLED);
    result.when_ready([&](text_result& r, error_ptr&) { after = r.get_result_code(); });
    EXPECT_EQ(cmd_result_code::CANCELLED, before);
    EXPECT_EQ(cmd_result_code::CANCELLED, after);
}

TEST(cmd_result, bind_expressions_select_their_overload) {
    struct target {
        int values = 0;
        int results = 0;
        void on_value(std::string&, error_ptr&) { ++values; }
        void on_result(text_result&, error_ptr&) { ++results; }
    } t;
    std::string value = "v";
    text_result result(value);
    using namespace std::placeholders;
    result.when_ready(std::bind(&target::on_value, &t, _1, _2));
    result.when_ready(std::bind(&target::on_result, &t, _1, _2));
    EXPECT_EQ(1, t.values);
    EXPECT_EQ(1, t.results);
}

TEST(cmd_result, later_handler_replaces_one_of_its_kind) {
    text_result result;
    int first = 0;
    int second = 0;
    result.when_ready([&](std::string&, error_ptr&) { ++first; });
    result.when_ready([&](std::string&, error_ptr&) { ++second; });
    std::string value;
    result.set_result(value, no_error);
    EXPECT_EQ(0, first);
    EXPECT_EQ(1, second);
}

TEST(cmd_result, of_both_kinds_only_the_second_runs) {
    text_result result;
    int values = 0;
    int results = 0;
    result.when_ready([&](text_result&, error_ptr&) { ++results; });
    result.when_ready([&](std::string&, error_ptr&) { ++values; });
    std::string value;
    result.set_result(value, no_error);
    EXPECT_EQ(0, values);
    EXPECT_EQ(1, results);
}

TEST(cmd_result, handler_may_use_the_result_it_belongs_to) {
    auto result = cs_new<text_result>();
    bool ran = false;
    wptr<text_result> watch = result;
    result->when_ready([&ran, result](std::string&, error_ptr&) {
        result->accept();
        EXPECT_EQ("v", result->get());
        ran = true;
    });
    std::string value = "v";
    result->set_result(value, no_error);
    EXPECT_TRUE(ran);
    EXPECT_TRUE(result->get_accepted());
    result.reset();
    EXPECT_TRUE(watch.expired()) << "the handler keeps its own result alive";
}

TEST(cmd_result, get_gives_a_default_value_when_an_error_came) {
    text_result result;
    std::string value = "half";
    error_ptr error = cs_new<std::runtime_error>("broken");
    error_ptr seen;
    result.when_ready([&](std::string&, error_ptr& err) { seen = err; });
    result.set_result(value, error, cmd_result_code::FAILED);
    EXPECT_EQ("", result.get());
    EXPECT_EQ(error, seen);
    EXPECT_EQ(cmd_result_code::FAILED, result.get_result_code());
}

TEST(cmd_result, get_blocks_until_there_is_a_result) {
    text_result result;
    std::promise<void> entering;
    std::atomic<bool> set(false);
    auto waiter = std::async(std::launch::async, [&] {
        entering.set_value();
        const std::string value = result.get();
        EXPECT_TRUE(set) << "get returned before the result was set";
        return value;
    });
    ASSERT_EQ(std::future_status::ready, entering.get_future().wait_for(deadline));
    EXPECT_FALSE(result.has_result());
    set = true;
    std::string value = "v";
    result.set_result(value, no_error);
    ASSERT_EQ(std::future_status::ready, waiter.wait_for(deadline)) << "get never returned";
    EXPECT_EQ("v", waiter.get());
}

TEST(cmd_result, waiters_wake_even_if_the_handler_throws) {
    text_result result;
    result.when_ready([](std::string&, error_ptr&) { throw std::runtime_error("handler"); });
    auto waiter = std::async(std::launch::async, [&] { return result.get(); });
    std::string value = "v";
    EXPECT_THROW(result.set_result(value, no_error), std::runtime_error);
    ASSERT_EQ(std::future_status::ready, waiter.wait_for(deadline)) << "get never returned";
    EXPECT_EQ("v", waiter.get());
}

TEST(cmd_result, handler_runs_once_however_installing_and_completing_race) {
    for (int round = 0; round < 500; ++round) {
        text_result result;
        std::atomic<int> runs(0);
        std::thread completing([&] {
            std::string value = "v";
            result.set_result(value, no_error);
        });
        std::thread waiting([&] { EXPECT_EQ("v", result.get()); });
        result.when_ready([&](std::string& value, error_ptr&) {
            EXPECT_EQ("v", value);
            ++runs;
        });
        completing.join();
        waiting.join();
        ASSERT_EQ(1, runs) << "round " << round;
    }
}

TEST(cmd_result, reset_makes_it_pending_and_drops_everything) {
    std::string value = "v";
    text_result result(value, true, cmd_result_code::TIMEOUT);
    result.reset();
    EXPECT_FALSE(result.has_result());
    EXPECT_FALSE(result.get_accepted());
    int runs = 0;
    result.when_ready([&](std::string&, error_ptr&) { ++runs; });
    result.reset();
    std::string next = "next";
    result.set_result(next, no_error);
    EXPECT_EQ(0, runs);
    EXPECT_EQ("next", result.get());
    EXPECT_EQ(cmd_result_code::OK, result.get_result_code());
}

TEST(cmd_result, code_may_be_overwritten) {
    std::string value;
    text_result result(value);
    result.set_result_code(cmd_result_code::CANCELLED);
    EXPECT_EQ(cmd_result_code::CANCELLED, result.get_result_code());
}

TEST(cmd_result, has_a_text_for_each_code) {
    std::set<std::string> texts;
    std::string value;
    text_result result(value);
    for (int code : {0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -10000, -32768}) {
        result.set_result_code(static_cast<cmd_result_code>(code));
        texts.insert(result.get_result_str());
    }
    EXPECT_EQ(14u, texts.size());
    result.set_result_code(static_cast<cmd_result_code>(-77));
    EXPECT_NE(std::string::npos, result.get_result_str().find("-77"));
}

TEST(cmd_result, codes_have_their_documented_numbers) {
    EXPECT_EQ(0, nuraft::OK);
    EXPECT_EQ(-1, cmd_result_code::CANCELLED);
    EXPECT_EQ(-2, cmd_result_code::TIMEOUT);
    EXPECT_EQ(-3, cmd_result_code::NOT_LEADER);
    EXPECT_EQ(-4, cmd_result_code::BAD_REQUEST);
    EXPECT_EQ(-5, cmd_result_code::SERVER_ALREADY_EXISTS);
    EXPECT_EQ(-6, cmd_result_code::CONFIG_CHANGING);
    EXPECT_EQ(-7, cmd_result_code::SERVER_IS_JOINING);
    EXPECT_EQ(-8, cmd_result_code::SERVER_NOT_FOUND);
    EXPECT_EQ(-9, cmd_result_code::CANNOT_REMOVE_LEADER);
    EXPECT_EQ(-10, cmd_result_code::SERVER_IS_LEAVING);
    EXPECT_EQ(-11, cmd_result_code::TERM_MISMATCH);
    EXPECT_EQ(-10000, cmd_result_code::RESULT_NOT_EXIST_YET);
    EXPECT_EQ(-32768, cmd_result_code::FAILED);
    static_assert(sizeof(cmd_result_code) == 4, "as on the wire");
}
