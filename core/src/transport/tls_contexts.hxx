#pragma once

#include <memory>

#include "asio_service_options.hxx"
#include "transport/tls.hxx"

namespace nuraft {
namespace transport {

/// TLS settings of a service, made once when it starts. Both pointers are null without TLS.
/// Immutable afterwards, so connections of all threads may share them.
struct tls_contexts {
    std::unique_ptr<tls_context> server;
    std::unique_ptr<tls_context> client;
};

/// Loads the certificates that the options name, or takes the contexts of their providers over.
/// TLS 1.2 is the oldest version spoken. Throws `std::runtime_error` that says which file or
/// provider is at fault, or that this build has no TLS.
tls_contexts make_tls_contexts(const asio_service_options& options);

/// A client's judgement of one certificate of the peer's chain: `chain_verified` unless the
/// program's `verify_sn_` refuses the subject. Host names are not checked.
bool accept_certificate(const asio_service_options& options, bool chain_verified,
                        tls_verification& certificate);

}  // namespace transport
}  // namespace nuraft
