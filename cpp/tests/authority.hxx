#pragma once

#include <openssl/x509.h>

#include <memory>
#include <string>

namespace raft3d {
namespace test {

/// A certificate, the ones between it and the root, and its key, in PEM.
struct identity {
    std::string chain;
    std::string key;
};

/// A certificate authority made for a test.
class authority {
public:
    explicit authority(const std::string& name);

    /// Its certificate, in PEM.
    std::string root() const;
    /// A certificate for `name`, DNS name and subject, that is valid for so many more seconds;
    /// `between`: signed by another authority in between.
    identity issue(const std::string& name, long valid_s = 3600, bool between = false) const;
    /// The same key as another one's, under a pass phrase.
    static std::string encrypted(const identity& of);

private:
    using key_ptr = std::shared_ptr<EVP_PKEY>;
    using cert_ptr = std::shared_ptr<X509>;
    struct signer {
        cert_ptr cert;
        key_ptr key;
    };
    static key_ptr new_key();
    static cert_ptr sign(const std::string& name, const key_ptr& key, const signer* by,
                         const char* constraints, long valid_s);

    signer self_;
};

}  // namespace test
}  // namespace raft3d
