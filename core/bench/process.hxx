#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>

#include "load.hxx"
#include "server.hxx"

namespace bench {

/// A TCP port that the system chose and that nobody else takes while this object lives.
class reserved_port {
public:
    reserved_port();
    ~reserved_port();
    reserved_port(const reserved_port&) = delete;
    reserved_port& operator=(const reserved_port&) = delete;
    int number() const { return number_; }
    std::string endpoint() const { return "127.0.0.1:" + std::to_string(number_); }

private:
    int socket_ = -1;
    int number_ = 0;
};

/// A server in a process of its own, which ends with this object. Members throw
/// `std::runtime_error` with the server's reason.
class server_process {
public:
    explicit server_process(const server_options& options);
    ~server_process();
    server_process(const server_process&) = delete;
    server_process& operator=(const server_process&) = delete;

    void tell(const std::string& command);
    /// The next answer, which begins with `word`; the rest of it.
    std::string hear(const std::string& word);
    resources usage();

private:
    const int id_;
    pid_t pid_ = -1;
    std::FILE* commands_ = nullptr;
    std::FILE* answers_ = nullptr;
};

}  // namespace bench
