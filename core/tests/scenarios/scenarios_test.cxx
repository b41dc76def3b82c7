// Runs the scenarios beside this file and compares what happens with what they say. With
// RAFT3D_REGENERATE=1 they are written anew: review the difference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "commands.hxx"

namespace scenarios {
namespace {

namespace fs = std::filesystem;

const char separator[] = "----";

std::vector<fs::path> files() {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(RAFT3D_SCENARIOS)) {
        if (entry.path().extension() == ".txt") found.push_back(entry.path());
    }
    std::sort(found.begin(), found.end());
    return found;
}

std::string read_file(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// The scenario as it goes: comments and commands as they are, and what happens below each block
/// of commands. Blocks end with an empty line.
std::string play(const std::string& scenario) {
    stage on;
    std::istringstream lines(scenario);
    std::ostringstream played;
    bool commands = false, output = false;
    const auto end_block = [&] {
        if (commands) played << separator << "\n" << on.take_trace();
        if (commands || !output) played << "\n";
        commands = output = false;
    };
    for (std::string line; std::getline(lines, line);) {
        if (line.empty()) {
            end_block();
        } else if (line == separator) {
            if (commands) played << separator << "\n" << on.take_trace() << "\n";
            commands = false;
            output = true;
        } else if (!output) {
            played << line << "\n";
            if (line[0] == '#') continue;
            perform(on, line);
            commands = true;
        }
    }
    if (commands) end_block();
    return played.str();
}

class scenario : public testing::TestWithParam<fs::path> {};

std::string name_of(const testing::TestParamInfo<fs::path>& info) {
    return info.param.stem().string();
}

}  // namespace

TEST_P(scenario, goes_as_it_says) {
    const std::string expected = read_file(GetParam());
    const std::string played = play(expected);
    if (std::getenv("RAFT3D_REGENERATE")) {
        std::ofstream(GetParam()) << played;
    } else {
        EXPECT_EQ(played, expected);
    }
    EXPECT_EQ(expected.substr(0, 2), "# ") << "a scenario opens with what it shows";
}

INSTANTIATE_TEST_SUITE_P(files, scenario, testing::ValuesIn(files()), name_of);

}  // namespace scenarios
