#pragma once

#include <asio/ip/tcp.hpp>
#ifdef SSL_LIBRARY_NOT_FOUND
#include <stdexcept>
#else
#include <asio/ssl.hpp>
#endif

// The names that the transport has for TLS, also in builds without it (CMake's DISABLE_SSL).

namespace nuraft {
namespace transport {

#ifndef SSL_LIBRARY_NOT_FOUND

using tls_context = asio::ssl::context;
using tls_verification = asio::ssl::verify_context;
using tls_stream = asio::ssl::stream<asio::ip::tcp::socket>;

#else

/// Nobody can make one: so there are no streams either, and what they offer is never called.
class tls_context {
    tls_context() = delete;
};

class tls_verification;

class tls_stream : public asio::ip::tcp::socket {
public:
    template <typename Executor>
    tls_stream(const Executor& executor, tls_context&) : asio::ip::tcp::socket(executor) {}

    asio::ip::tcp::socket& next_layer() { return *this; }
};

#endif

}  // namespace transport
}  // namespace nuraft
