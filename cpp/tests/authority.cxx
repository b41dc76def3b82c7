#include "authority.hxx"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdexcept>

namespace raft3d {
namespace test {

namespace {

void check(bool ok, const std::string& what) {
    if (!ok) throw std::runtime_error("cannot make a certificate: " + what);
}

/// What `write` puts into a text.
template <typename F>
std::string text_of(F write) {
    const std::shared_ptr<BIO> into(BIO_new(BIO_s_mem()), BIO_free);
    check(into && write(into.get()) == 1, "PEM");
    char* data = nullptr;
    const long size = BIO_get_mem_data(into.get(), &data);
    return std::string(data, static_cast<size_t>(size));
}

std::string pem_of(X509* cert) {
    return text_of([cert](BIO* into) { return PEM_write_bio_X509(into, cert); });
}

void extend(X509* cert, X509* issuer, int what, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
    const std::shared_ptr<X509_EXTENSION> made(
        X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str()), X509_EXTENSION_free);
    check(made && X509_add_ext(cert, made.get(), -1) == 1, value);
}

}  // namespace

authority::key_ptr authority::new_key() {
    key_ptr key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    check(key != nullptr, "key");
    return key;
}

authority::cert_ptr authority::sign(const std::string& name, const key_ptr& key, const signer* by,
                                    const char* constraints, long valid_s) {
    cert_ptr cert(X509_new(), X509_free);
    check(cert != nullptr, "X509");
    X509_set_version(cert.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -7200);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), valid_s);
    X509_set_pubkey(cert.get(), key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509* issuer = by ? by->cert.get() : cert.get();
    X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer));
    extend(cert.get(), issuer, NID_basic_constraints, constraints);
    extend(cert.get(), issuer, NID_subject_alt_name, "DNS:" + name);
    check(X509_sign(cert.get(), by ? by->key.get() : key.get(), EVP_sha256()) > 0, "signature");
    return cert;
}

authority::authority(const std::string& name) {
    self_.key = new_key();
    self_.cert = sign(name, self_.key, nullptr, "critical,CA:TRUE", 3600);
}

std::string authority::root() const {
    return pem_of(self_.cert.get());
}

identity authority::issue(const std::string& name, long valid_s, bool between) const {
    signer by = self_;
    std::string rest;
    if (between) {
        by.key = new_key();
        by.cert = sign("in-between", by.key, &self_, "critical,CA:TRUE", 3600);
        rest = pem_of(by.cert.get());
    }
    const key_ptr key = new_key();
    const cert_ptr cert = sign(name, key, &by, "CA:FALSE", valid_s);
    return {pem_of(cert.get()) + rest, text_of([&key](BIO* into) {
                return PEM_write_bio_PrivateKey(into, key.get(), nullptr, nullptr, 0, nullptr,
                                                nullptr);
            })};
}

std::string authority::encrypted(const identity& of) {
    const std::shared_ptr<BIO> from(BIO_new_mem_buf(of.key.data(), static_cast<int>(of.key.size())),
                                    BIO_free);
    const key_ptr key(PEM_read_bio_PrivateKey(from.get(), nullptr, nullptr, nullptr),
                      EVP_PKEY_free);
    return text_of([&key](BIO* into) {
        const unsigned char phrase[] = "secret";
        return PEM_write_bio_PrivateKey(into, key.get(), EVP_aes_128_cbc(), phrase, 6, nullptr,
                                        nullptr);
    });
}

}  // namespace test
}  // namespace raft3d
