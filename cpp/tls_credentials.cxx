#include "raft3d/tls_credentials.hxx"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "raft3d/src/ffi.rs.h"

namespace raft3d {

namespace {

template <auto release>
struct releaser {
    template <typename T>
    void operator()(T* owned) const {
        release(owned);
    }
};
template <typename T, auto release>
using owner = std::unique_ptr<T, releaser<release>>;

using certificate = owner<X509, X509_free>;
using private_key = owner<EVP_PKEY, EVP_PKEY_free>;
using root_store = owner<X509_STORE, X509_STORE_free>;
using text_source = owner<BIO, BIO_free>;
using context = owner<SSL_CTX, SSL_CTX_free>;

void release_names(GENERAL_NAMES* names) {
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

[[noreturn]] void fail(const std::string& what) {
    char reason[256] = "";
    ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
    ERR_clear_error();
    throw std::runtime_error(what + ": " + reason);
}

text_source source_of(rust::Slice<const uint8_t> pem) {
    text_source source(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    if (!source) fail("no memory for a PEM text");
    return source;
}

/// All certificates of a PEM text, at least one.
std::vector<certificate> certificates_of(rust::Slice<const uint8_t> pem, const char* what) {
    const text_source source = source_of(pem);
    std::vector<certificate> all;
    while (X509* next = PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr))
        all.emplace_back(next);
    if (all.empty()) fail(std::string("no ") + what);
    ERR_clear_error();  // The end of the text is an error too.
    return all;
}

private_key key_of(rust::Slice<const uint8_t> pem) {
    const text_source source = source_of(pem);
    // Without a callback OpenSSL asks the terminal for the pass phrase of an encrypted key.
    const auto no_pass_phrase = [](char*, int, int, void*) { return -1; };
    private_key key(PEM_read_bio_PrivateKey(source.get(), nullptr, no_pass_phrase, nullptr));
    if (!key) fail("no private key");
    return key;
}

root_store store_of(rust::Slice<const uint8_t> pem) {
    root_store store(X509_STORE_new());
    if (!store) fail("no memory for a CA");
    for (const certificate& root : certificates_of(pem, "certificate of a CA"))
        if (X509_STORE_add_cert(store.get(), root.get()) != 1) fail("a CA cannot be used");
    return store;
}

/// `node-N.raft3d` with a number from 1.
bool is_name_of_node(const std::string& name) {
    const std::string front = "node-";
    const std::string back = ".raft3d";
    if (name.size() <= front.size() + back.size()) return false;
    const auto begin = name.begin() + static_cast<std::ptrdiff_t>(front.size());
    const auto end = name.end() - static_cast<std::ptrdiff_t>(back.size());
    const auto is_digit = [](unsigned char c) { return std::isdigit(c) != 0; };
    return std::equal(front.begin(), front.end(), name.begin()) &&
           std::equal(back.begin(), back.end(), end) && *begin != '0' &&
           std::all_of(begin, end, is_digit);
}

bool names_a_node(const X509& shown) {
    const owner<GENERAL_NAMES, release_names> names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(&shown, NID_subject_alt_name, nullptr, nullptr)));
    if (!names) return false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_DNS) continue;
        const unsigned char* text = ASN1_STRING_get0_data(name->d.dNSName);
        const auto size = static_cast<size_t>(ASN1_STRING_length(name->d.dNSName));
        if (is_name_of_node(std::string(text, text + size))) return true;
    }
    return false;
}

rust::Slice<const uint8_t> bytes_of(const char* text) {
    return {reinterpret_cast<const uint8_t*>(text), std::char_traits<char>::length(text)};
}

/// The verdict of OpenSSL on the chain that the peer shows, as of `purpose`.
int error_of_chain(X509_STORE_CTX& shown, X509_STORE* roots, const char* purpose) {
    const owner<X509_STORE_CTX, X509_STORE_CTX_free> check(X509_STORE_CTX_new());
    if (!check || X509_STORE_CTX_init(check.get(), roots, X509_STORE_CTX_get0_cert(&shown),
                                      X509_STORE_CTX_get0_untrusted(&shown)) != 1)
        return X509_V_ERR_OUT_OF_MEM;
    X509_STORE_CTX_set_default(check.get(), purpose);
    if (X509_verify_cert(check.get()) == 1) return X509_V_OK;
    const int error = X509_STORE_CTX_get_error(check.get());
    return error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error;
}

}  // namespace

struct tls_credentials::material {
    std::vector<certificate> chain;  // this node's own first
    private_key key;
    root_store roots;
};

namespace {

std::shared_ptr<const tls_credentials::material> material_of(rust::Slice<const uint8_t> chain,
                                                             rust::Slice<const uint8_t> key,
                                                             rust::Slice<const uint8_t> roots) {
    auto made = std::make_shared<tls_credentials::material>();
    made->chain = certificates_of(chain, "certificate");
    made->key = key_of(key);
    made->roots = store_of(roots);
    if (X509_check_private_key(made->chain.front().get(), made->key.get()) != 1)
        fail("the private key is not the certificate's");
    return made;
}

/// OpenSSL's callback for a handshake that is to show a certificate; 1: it has one.
int show_certificate(SSL* ssl, void* owner_of_context) {
    const auto now = static_cast<const tls_credentials*>(owner_of_context)->current();
    if (SSL_use_certificate(ssl, now->chain.front().get()) != 1) return 0;
    if (SSL_use_PrivateKey(ssl, now->key.get()) != 1) return 0;
    SSL_clear_chain_certs(ssl);
    for (size_t i = 1; i < now->chain.size(); ++i)
        if (SSL_add1_chain_cert(ssl, now->chain[i].get()) != 1) return 0;
    return 1;
}

/// OpenSSL's callback for a chain that a peer shows, in place of its own verification, because the
/// roots may be others than those when the context was made; 1: it is a node's of this cluster.
int judge(X509_STORE_CTX* shown, const tls_credentials& credentials, bool incoming) {
    const auto now = credentials.current();
    const X509* peer = X509_STORE_CTX_get0_cert(shown);
    int error =
        peer ? error_of_chain(*shown, now->roots.get(), incoming ? "ssl_client" : "ssl_server")
             : X509_V_ERR_UNSPECIFIED;
    const char* reason = X509_verify_cert_error_string(error);
    if (error == X509_V_OK && !names_a_node(*peer)) {
        error = X509_V_ERR_APPLICATION_VERIFICATION;
        reason = "it has no name of the form node-N.raft3d";
    }
    X509_STORE_CTX_set_error(shown, error);
    if (error == X509_V_OK) return 1;
    char subject[256] = "";
    if (peer) X509_NAME_oneline(X509_get_subject_name(peer), subject, sizeof(subject));
    credentials.audit().refused(incoming, bytes_of(subject), bytes_of(reason));
    return 0;
}

template <bool incoming>
int judge_for(X509_STORE_CTX* shown, void* owner_of_context) {
    return judge(shown, *static_cast<const tls_credentials*>(owner_of_context), incoming);
}

context context_for(const SSL_METHOD* method, const tls_credentials& credentials) {
    context made(SSL_CTX_new(method));
    if (!made || SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION) != 1)
        fail("no TLS context");
    // A resumed session would skip the look at the certificate, which may have expired since.
    SSL_CTX_set_session_cache_mode(made.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(made.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_num_tickets(made.get(), 0);
    // OpenSSL takes no pointer to what is const; the callbacks turn it back.
    auto* self = const_cast<tls_credentials*>(&credentials);
    SSL_CTX_set_cert_cb(made.get(), show_certificate, self);
    return made;
}

}  // namespace

tls_credentials::tls_credentials(rust::Slice<const uint8_t> chain, rust::Slice<const uint8_t> key,
                                 rust::Slice<const uint8_t> roots, rust::Box<TlsAudit> audit)
    : audit_(std::move(audit)), current_(material_of(chain, key, roots)) {}

tls_credentials::~tls_credentials() = default;

void tls_credentials::replace(rust::Slice<const uint8_t> chain, rust::Slice<const uint8_t> key,
                              rust::Slice<const uint8_t> roots) const {
    auto made = material_of(chain, key, roots);
    std::lock_guard<std::mutex> guard(lock_);
    current_ = std::move(made);
}

std::shared_ptr<const tls_credentials::material> tls_credentials::current() const {
    std::lock_guard<std::mutex> guard(lock_);
    return current_;
}

SSL_CTX* tls_credentials::context_of_server() const {
    context made = context_for(TLS_server_method(), *this);
    SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_cert_verify_callback(made.get(), judge_for<true>,
                                     const_cast<tls_credentials*>(this));
    return made.release();
}

SSL_CTX* tls_credentials::context_of_client() const {
    context made = context_for(TLS_client_method(), *this);
    SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(made.get(), judge_for<false>,
                                     const_cast<tls_credentials*>(this));
    return made.release();
}

std::shared_ptr<tls_credentials> new_tls_credentials(rust::Slice<const uint8_t> chain,
                                                     rust::Slice<const uint8_t> key,
                                                     rust::Slice<const uint8_t> roots,
                                                     rust::Box<TlsAudit> audit) {
    return std::make_shared<tls_credentials>(chain, key, roots, std::move(audit));
}

void secure(nuraft::asio_service::options& options,
            const std::shared_ptr<const tls_credentials>& credentials) {
    if (!credentials) return;
    options.enable_ssl_ = true;
    options.ssl_context_provider_server_ = [credentials] {
        return credentials->context_of_server();
    };
    options.ssl_context_provider_client_ = [credentials] {
        return credentials->context_of_client();
    };
}

}  // namespace raft3d
