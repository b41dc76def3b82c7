#pragma once

#include <libnuraft/nuraft.hxx>
#include <memory>
#include <mutex>

#include "rust/cxx.h"

namespace raft3d {

struct TlsAudit;

/// The certificate that this node shows to the others, and the CA that theirs must be of, for both
/// directions of the Raft port. Both can be replaced at any time: handshakes that begin afterwards
/// use the new ones, connections that exist stay. Thread-safe.
///
/// The contexts that it makes refer to it, so it must outlive every handshake in them.
class tls_credentials {
public:
    /// Throws if the PEM texts are none or do not fit together. `audit` is told of every
    /// certificate that is refused, from the core's threads.
    tls_credentials(rust::Slice<const uint8_t> chain, rust::Slice<const uint8_t> key,
                    rust::Slice<const uint8_t> roots, rust::Box<TlsAudit> audit);
    ~tls_credentials();

    tls_credentials(const tls_credentials&) = delete;
    tls_credentials& operator=(const tls_credentials&) = delete;

    /// Throws like the constructor, and then nothing has changed.
    void replace(rust::Slice<const uint8_t> chain, rust::Slice<const uint8_t> key,
                 rust::Slice<const uint8_t> roots) const;

    /// A new context for connections that others open, or that this node opens: TLS 1.2 or later,
    /// both sides show a certificate, nothing is resumed. The caller owns it. Throws for lack of
    /// memory.
    SSL_CTX* context_of_server() const;
    SSL_CTX* context_of_client() const;

    /// What handshakes that begin now use.
    struct material;
    std::shared_ptr<const material> current() const;
    const TlsAudit& audit() const { return *audit_; }

private:
    const rust::Box<TlsAudit> audit_;
    mutable std::mutex lock_;  // guards the pointer
    mutable std::shared_ptr<const material> current_;
};

/// For the bridge.
std::shared_ptr<tls_credentials> new_tls_credentials(rust::Slice<const uint8_t> chain,
                                                     rust::Slice<const uint8_t> key,
                                                     rust::Slice<const uint8_t> roots,
                                                     rust::Box<TlsAudit> audit);

/// Has every connection secured by `credentials`; without any, leaves `options` as they are.
void secure(nuraft::asio_service::options& options,
            const std::shared_ptr<const tls_credentials>& credentials);

}  // namespace raft3d
