#pragma once

#include <string>

namespace nuraft {
namespace transport {

/// A certificate authority and one server certificate of it, made for a test, as PEM files that go
/// with the object.
class certificates {
public:
    /// `name` is the CN of the server; the authority's is `name` and " CA".
    explicit certificates(const std::string& name);
    ~certificates();
    certificates(const certificates&) = delete;

    const std::string& root_file() const { return root_file_; }
    const std::string& server_file() const { return server_file_; }
    const std::string& key_file() const { return key_file_; }
    /// The server's key under a pass phrase.
    const std::string& encrypted_key_file() const { return encrypted_key_file_; }

private:
    std::string directory_;
    std::string root_file_;
    std::string server_file_;
    std::string key_file_;
    std::string encrypted_key_file_;
};

}  // namespace transport
}  // namespace nuraft
