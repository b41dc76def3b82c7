#include "transport/certificates.hxx"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <stdexcept>

namespace nuraft {
namespace transport {

namespace {

using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using cert_ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using file_ptr = std::unique_ptr<FILE, decltype(&fclose)>;

void check(bool ok, const char* what) {
    if (!ok) throw std::runtime_error(std::string("cannot make a certificate: ") + what);
}

key_ptr new_key() {
    key_ptr key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    check(key != nullptr, "key");
    return key;
}

void add_extension(X509* cert, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    check(extension != nullptr, value);
    check(X509_add_ext(cert, extension, -1) == 1, value);
    X509_EXTENSION_free(extension);
}

/// Signed by `issuer` and its key; by itself if `issuer` is null.
cert_ptr new_certificate(const std::string& name, EVP_PKEY* key, X509* issuer,
                         EVP_PKEY* issuer_key) {
    cert_ptr cert(X509_new(), X509_free);
    check(cert != nullptr, "X509");
    X509_set_version(cert.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), issuer ? 2 : 1);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), 3600);
    X509_set_pubkey(cert.get(), key);
    X509_NAME* subject = X509_get_subject_name(cert.get());
    const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0);
    X509* signer = issuer ? issuer : cert.get();
    X509_set_issuer_name(cert.get(), X509_get_subject_name(signer));
    add_extension(cert.get(), signer, NID_basic_constraints,
                  issuer ? "CA:FALSE" : "critical,CA:TRUE");
    check(X509_sign(cert.get(), issuer_key, EVP_sha256()) > 0, "signature");
    return cert;
}

file_ptr create(const std::string& path) {
    file_ptr file(fopen(path.c_str(), "wb"), fclose);
    check(file != nullptr, path.c_str());
    return file;
}

}  // namespace

certificates::certificates(const std::string& name) {
    char path[] = "/tmp/raft3d-certificates-XXXXXX";
    check(mkdtemp(path) != nullptr, "directory");
    directory_ = path;
    root_file_ = directory_ + "/root.pem";
    server_file_ = directory_ + "/server.pem";
    key_file_ = directory_ + "/server.key";
    encrypted_key_file_ = directory_ + "/encrypted.key";

    const key_ptr root_key = new_key();
    const cert_ptr root = new_certificate(name + " CA", root_key.get(), nullptr, root_key.get());
    const key_ptr key = new_key();
    const cert_ptr server = new_certificate(name, key.get(), root.get(), root_key.get());
    check(PEM_write_X509(create(root_file_).get(), root.get()) == 1, "root file");
    check(PEM_write_X509(create(server_file_).get(), server.get()) == 1, "server file");
    check(PEM_write_PrivateKey(create(key_file_).get(), key.get(), nullptr, nullptr, 0, nullptr,
                               nullptr) == 1,
          "key file");
    unsigned char phrase[] = "secret";
    check(PEM_write_PrivateKey(create(encrypted_key_file_).get(), key.get(), EVP_aes_128_cbc(),
                               phrase, 6, nullptr, nullptr) == 1,
          "encrypted key file");
}

certificates::~certificates() {
    for (const std::string& file : {root_file_, server_file_, key_file_, encrypted_key_file_})
        unlink(file.c_str());
    rmdir(directory_.c_str());
}

}  // namespace transport
}  // namespace nuraft
