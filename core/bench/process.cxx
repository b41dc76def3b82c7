#include "process.hxx"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <sstream>
#include <system_error>
#include <thread>
#include <vector>

namespace bench {

namespace {

/// How long a server may take to end once it is told to.
constexpr std::chrono::seconds ends_within{20};

int checked(int result, const char* what) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), what);
    return result;
}

/// Both ends are closed in whatever program this one starts.
struct pipe_ends {
    pipe_ends() { checked(::pipe2(ends.data(), O_CLOEXEC), "pipe2"); }
    std::array<int, 2> ends;
    int read() const { return ends[0]; }
    int write() const { return ends[1]; }
};

/// Becomes a server; never returns.
[[noreturn]] void become_server(const std::vector<std::string>& arguments, int in, int out) {
    std::vector<char*> argv;
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    if (::dup2(in, STDIN_FILENO) >= 0 && ::dup2(out, STDOUT_FILENO) >= 0) {
        ::execv("/proc/self/exe", argv.data());
    }
    ::_exit(127);
}

}  // namespace

reserved_port::reserved_port() {
    // Bound but not listening, and both sides allow reuse: a listener may still take it.
    socket_ = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    const int on = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    checked(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size), "bind");
    checked(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    number_ = ntohs(address.sin_port);
}

reserved_port::~reserved_port() {
    ::close(socket_);
}

server_process::server_process(const server_options& options) : id_(options.id) {
    std::vector<std::string> arguments{"raft_bench", "--serve"};
    for (std::string& a : options.to_arguments()) arguments.push_back(std::move(a));
    const pipe_ends in, out;
    pid_ = checked(::fork(), "fork");
    if (pid_ == 0) become_server(arguments, in.read(), out.write());
    ::close(in.read());
    ::close(out.write());
    commands_ = ::fdopen(in.write(), "w");
    answers_ = ::fdopen(out.read(), "r");
}

server_process::~server_process() {
    // The end of its input is the order to end.
    std::fclose(commands_);
    const auto limit = std::chrono::steady_clock::now() + ends_within;
    int status = 0;
    while (::waitpid(pid_, &status, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() > limit) {
            std::cerr << "server " << id_ << " did not end by itself" << std::endl;
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, &status, 0);
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::fclose(answers_);
}

void server_process::tell(const std::string& command) {
    // A server that is gone shows when its answer is read.
    std::fputs((command + "\n").c_str(), commands_);
    std::fflush(commands_);
}

std::string server_process::hear(const std::string& word) {
    std::string line;
    for (int c = std::fgetc(answers_); c != EOF && c != '\n'; c = std::fgetc(answers_)) {
        line.push_back(static_cast<char>(c));
    }
    const std::string name = "server " + std::to_string(id_);
    if (line.empty()) throw std::runtime_error(name + " is gone");
    if (line.compare(0, word.size(), word) != 0) throw std::runtime_error(name + ": " + line);
    return line.substr(word.size());
}

resources server_process::usage() {
    tell("usage");
    std::istringstream in(hear("usage"));
    resources r;
    in >> r.user_us >> r.system_us >> r.switches;
    return r;
}

}  // namespace bench
