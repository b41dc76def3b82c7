#include "transport/tls_contexts.hxx"

#include <asio/error_code.hpp>
#include <stdexcept>
#include <string>

namespace nuraft {
namespace transport {

namespace {

#ifndef SSL_LIBRARY_NOT_FOUND

using context = tls_context;

void check(const asio::error_code& ec, const std::string& option, const std::string& file) {
    if (ec)
        throw std::runtime_error("cannot load " + option + " \"" + file + "\": " + ec.message());
}

std::unique_ptr<context> modern_context() {
    auto made = std::make_unique<context>(context::tls);
    made->set_options(context::default_workarounds | context::no_sslv2 | context::no_sslv3 |
                      context::no_tlsv1 | context::no_tlsv1_1 | context::single_dh_use);
    return made;
}

std::unique_ptr<context> provided_context(const std::function<SSL_CTX*(void)>& provider,
                                          const char* option) {
    SSL_CTX* native = provider();
    if (!native) throw std::runtime_error(std::string(option) + " returned no context");
    return std::make_unique<context>(native);
}

std::unique_ptr<context> server_context(const asio_service_options& options) {
    if (options.ssl_context_provider_server_)
        return provided_context(options.ssl_context_provider_server_,
                                "ssl_context_provider_server_");
    auto made = modern_context();
    // Without a callback OpenSSL asks the terminal for the pass phrase of an encrypted key.
    made->set_password_callback([](size_t, context::password_purpose) { return std::string(); });
    asio::error_code ec;
    made->use_certificate_chain_file(options.server_cert_file_, ec);
    check(ec, "server_cert_file_", options.server_cert_file_);
    made->use_private_key_file(options.server_key_file_, context::pem, ec);
    check(ec, "server_key_file_", options.server_key_file_);
    return made;
}

std::unique_ptr<context> client_context(const asio_service_options& options) {
    if (options.ssl_context_provider_client_)
        return provided_context(options.ssl_context_provider_client_,
                                "ssl_context_provider_client_");
    auto made = modern_context();
    // A client that verifies nothing needs no root.
    if (options.skip_verification_ && options.root_cert_file_.empty()) return made;
    asio::error_code ec;
    made->load_verify_file(options.root_cert_file_, ec);
    check(ec, "root_cert_file_", options.root_cert_file_);
    return made;
}

#endif

}  // namespace

tls_contexts make_tls_contexts(const asio_service_options& options) {
    tls_contexts contexts;
    if (!options.enable_ssl_) return contexts;
#ifdef SSL_LIBRARY_NOT_FOUND
    throw std::runtime_error("enable_ssl_ is set, and this build has no TLS");
#else
    contexts.server = server_context(options);
    contexts.client = client_context(options);
    return contexts;
#endif
}

bool accept_certificate(const asio_service_options& options, bool chain_verified,
                        tls_verification& certificate) {
    if (!options.verify_sn_) return chain_verified;
#ifdef SSL_LIBRARY_NOT_FOUND
    (void)certificate;
    return false;
#else
    const X509* subject_of = X509_STORE_CTX_get_current_cert(certificate.native_handle());
    char subject[256] = "";
    if (subject_of) X509_NAME_oneline(X509_get_subject_name(subject_of), subject, sizeof(subject));
    return options.verify_sn_(subject) && chain_verified;
#endif
}

}  // namespace transport
}  // namespace nuraft
