// The corpus of each fuzz target, replayed without a fuzzer. Seeds are the documented vectors of
// the wire format; RAFT3D_REGENERATE=1 writes them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "base/objects.hxx"
#include "targets.hxx"
#include "transport/vectors.hxx"

namespace fuzz {

namespace {

using nuraft::transport::from_hex;
using bytes = std::vector<uint8_t>;

std::filesystem::path folder_of(const std::string& target) {
    return std::filesystem::path(RAFT3D_CORPUS) / target;
}

bytes read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return bytes(std::istreambuf_iterator<char>(file), {});
}

struct seed {
    std::string target;
    std::string name;
    bytes content;
};

/// A request as `protocol_steps` takes it in: four settings, the kind of event, the body's size,
/// the frame, and that the program does not decline it.
bytes as_step(const bytes& frame) {
    bytes step = {0, 0, 0, 0, 0, static_cast<uint8_t>(frame.size() - 54)};
    step.insert(step.end(), frame.begin(), frame.end());
    step.push_back(0);
    return step;
}

bytes as_object(uint8_t kind, const std::string& hex) {
    bytes object = from_hex(hex);
    object.insert(object.begin(), kind);
    return object;
}

std::vector<seed> seeds() {
    std::vector<seed> made;
    for (const auto& v : nuraft::transport::request_vectors()) {
        made.push_back({"request_frames", v.name, from_hex(v.hex)});
        made.push_back({"protocol_steps", v.name, as_step(from_hex(v.hex))});
    }
    for (const auto& v : nuraft::transport::response_vectors())
        made.push_back({"response_frames", v.name, from_hex(v.hex)});
    using namespace nuraft::vectors;
    const struct {
        const char* name;
        uint8_t kind;
        const std::string& hex;
    } objects[] = {{"TV-O1", 0, o1},   {"TV-O2", 0, o2},   {"TV-O3", 0, o3},   {"TV-O4", 1, o4},
                   {"TV-O5", 1, o5},   {"TV-O6", 1, o6},   {"TV-O7", 2, o7},   {"TV-O8", 2, o8},
                   {"TV-O9", 2, o9},   {"TV-O10", 2, o10}, {"TV-O11", 3, o11}, {"TV-O12", 3, o12},
                   {"TV-O13", 4, o13}, {"TV-O14", 4, o14}, {"TV-O15", 5, o15}};
    for (const auto& o : objects) made.push_back({"objects", o.name, as_object(o.kind, o.hex)});
    return made;
}

}  // namespace

TEST(fuzz, vectors_are_seeds) {
    const bool regenerate = std::getenv("RAFT3D_REGENERATE") != nullptr;
    for (const seed& s : seeds()) {
        const std::filesystem::path path = folder_of(s.target) / s.name;
        if (regenerate) {
            std::filesystem::create_directories(path.parent_path());
            std::ofstream(path, std::ios::binary)
                .write(reinterpret_cast<const char*>(s.content.data()),
                       static_cast<std::streamsize>(s.content.size()));
        }
        EXPECT_EQ(read_file(path), s.content) << path;
    }
}

TEST(fuzz, corpus_breaks_nothing) {
    for (const target& t : targets) {
        size_t inputs = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder_of(t.name))) {
            const bytes input = read_file(entry.path());
            EXPECT_NO_THROW(t.run(input.data(), input.size())) << entry.path();
            ++inputs;
        }
        EXPECT_GT(inputs, 0u) << "no corpus for " << t.name;
    }
}

// The properties are really looked at: a target that accepts everything finds nothing.
TEST(fuzz, a_broken_property_is_told) {
    EXPECT_NO_THROW(require(true, "never told"));
    try {
        require(false, "what ", 7);
        FAIL() << "nothing was thrown";
    } catch (const broken& b) {
        EXPECT_STREQ(b.what(), "what 7");
    }
}

}  // namespace fuzz
