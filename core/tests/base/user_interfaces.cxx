// Default bodies of what programs implement, and who calls whom.

#include <gtest/gtest.h>

#include <string>

#include "hex.hxx"
#include "log_store.hxx"
#include "state_machine.hxx"

using namespace nuraft;

namespace {

class recording_state_machine : public state_machine {
public:
    ptr<buffer> commit(const ulong, buffer& data) override {
        calls += "commit " + to_text(data) + ";";
        return from_text("done");
    }
    ptr<buffer> pre_commit(const ulong, buffer& data) override {
        calls += "pre_commit " + to_text(data) + ";";
        return nullptr;
    }
    void rollback(const ulong, buffer& data) override {
        calls += "rollback " + to_text(data) + ";";
    }
    bool apply_snapshot(snapshot&) override { return true; }
    ptr<snapshot> last_snapshot() override { return nullptr; }
    ulong last_commit_index() override { return 0; }
    void create_snapshot(snapshot&, async_result<bool>::handler_type&) override {}

    std::string calls;
};

class one_entry_store : public log_store {
public:
    ulong next_slot() const override { return 2; }
    ulong start_index() const override { return 1; }
    ptr<log_entry> last_entry() const override { return nullptr; }
    ulong append(ptr<log_entry>&) override { return 0; }
    void write_at(ulong, ptr<log_entry>&) override {}
    ptr<std::vector<ptr<log_entry>>> log_entries(ulong start, ulong end) override {
        return cs_new<std::vector<ptr<log_entry>>>(end - start);
    }
    ptr<log_entry> entry_at(ulong) override { return nullptr; }
    ulong term_at(ulong) override { return 0; }
    ptr<buffer> pack(ulong, int32) override { return nullptr; }
    void apply_pack(ulong, buffer&) override {}
    bool compact(ulong last_log_index) override { return last_log_index == 7; }
    bool flush() override { return true; }
};

}  // namespace

TEST(state_machine, extended_operations_call_the_plain_ones) {
    recording_state_machine machine;
    ptr<buffer> data = from_text("x");
    const state_machine::ext_op_params params(3, data);
    EXPECT_EQ("done", to_text(*machine.commit_ext(params)));
    machine.pre_commit_ext(params);
    machine.rollback_ext(params);
    EXPECT_EQ("commit x;pre_commit x;rollback x;", machine.calls);
}

TEST(state_machine, defaults) {
    recording_state_machine machine;
    EXPECT_TRUE(machine.chk_create_snapshot());
    EXPECT_TRUE(machine.allow_leadership_transfer());
    EXPECT_EQ(0, machine.get_next_batch_size_hint_in_bytes());
    state_machine::adjust_commit_index_params params;
    params.expected_commit_index_ = 9;
    EXPECT_EQ(9u, machine.adjust_commit_index(params));

    snapshot s(1, 1, nullptr);
    void* context = nullptr;
    ptr<buffer> data;
    bool last = false;
    EXPECT_EQ(0, machine.read_logical_snp_obj(s, context, 0, data, last));
    EXPECT_EQ(4u, data->size());
    EXPECT_TRUE(last);
    EXPECT_EQ(0, machine.read_snapshot_data(s, 0, *data));
}

TEST(log_store, defaults) {
    one_entry_store store;
    EXPECT_EQ(1u, store.last_durable_index());
    EXPECT_EQ(3u, store.log_entries_ext(1, 4, 100)->size());
    for (ulong index : {7, 8}) {
        int runs = 0;
        bool result = false;
        store.compact_async(index, [&](bool& done, ptr<std::exception>& error) {
            ++runs;
            result = done;
            EXPECT_EQ(nullptr, error);
        });
        EXPECT_EQ(1, runs);
        EXPECT_EQ(index == 7, result);
    }
}
