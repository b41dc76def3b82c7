#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <system_error>

#include "basic_types.hxx"

#ifdef USE_BOOST_ASIO
namespace boost {
namespace asio {
class io_context;
}  // namespace asio
}  // namespace boost
#else
namespace asio {
class io_context;
}  // namespace asio
#endif

typedef struct ssl_ctx_st SSL_CTX;

namespace nuraft {

class buffer;
class req_msg;
class resp_msg;

/// What a metadata callback is told. All numbers are the request's; `resp_` is null but for
/// responses. Pointers are valid during the call.
struct asio_service_meta_cb_params {
    asio_service_meta_cb_params(int m = 0, int s = 0, int d = 0, uint64_t t = 0, uint64_t lt = 0,
                                uint64_t li = 0, uint64_t ci = 0, req_msg* req = nullptr,
                                resp_msg* resp = nullptr)
        : msg_type_(m),
          src_id_(s),
          dst_id_(d),
          term_(t),
          log_term_(lt),
          log_idx_(li),
          commit_idx_(ci),
          req_(req),
          resp_(resp) {}

    int msg_type_;
    int src_id_;
    int dst_id_;
    uint64_t term_;
    uint64_t log_term_;
    uint64_t log_idx_;
    uint64_t commit_idx_;
    req_msg* req_;
    resp_msg* resp_;
};

/// Takes host, port and error.
using asio_service_custom_resolver_response =
    std::function<void(const std::string&, const std::string&, std::error_code)>;

/// Callbacks run concurrently in the service's threads, those that write possibly with a server's
/// lock held, and must not block.
struct asio_service_options {
#ifdef USE_BOOST_ASIO
    using io_context_type = boost::asio::io_context;
#else
    using io_context_type = asio::io_context;
#endif

    asio_service_options()
        : thread_pool_size_(0),
          enable_ssl_(false),
          skip_verification_(false),
          invoke_req_cb_on_empty_meta_(true),
          invoke_resp_cb_on_empty_meta_(true),
          replicate_log_timestamp_(false),
          crc_on_entire_message_(false),
          crc_on_payload_(false),
          streaming_mode_(false),
          custom_io_context_(nullptr) {}

    /// Workers; 0: as many as there are cores. Each serves connections of its own: while one is
    /// held up, by a slow callback or disk, so are its connections.
    size_t thread_pool_size_;
    /// Called by each worker with its number, first and last.
    std::function<void(uint32_t)> worker_start_;
    std::function<void(uint32_t)> worker_stop_;

    /// TLS for all connections.
    bool enable_ssl_;
    /// Clients do not verify the server's certificate.
    bool skip_verification_;
    /// PEM: the listener's chain and key, and the root that clients trust.
    std::string server_cert_file_;
    std::string server_key_file_;
    std::string root_cert_file_;

    /// Makes the metadata of a request; empty: none.
    std::function<std::string(const asio_service_meta_cb_params&)> write_req_meta_;
    /// Checks it; false discards the request and closes the connection.
    std::function<bool(const asio_service_meta_cb_params&, const std::string&)> read_req_meta_;
    /// Call `read_req_meta_` even when no metadata came.
    bool invoke_req_cb_on_empty_meta_;
    /// The same for responses; false from `read_resp_meta_` is an RPC error.
    std::function<std::string(const asio_service_meta_cb_params&)> write_resp_meta_;
    std::function<bool(const asio_service_meta_cb_params&, const std::string&)> read_resp_meta_;
    bool invoke_resp_cb_on_empty_meta_;

    /// Client: accepts a certificate by its subject, as `/C=.../CN=...`; each of the chain.
    std::function<bool(const std::string&)> verify_sn_;
    /// Make a context of TLS; the service takes ownership.
    std::function<SSL_CTX*(void)> ssl_context_provider_server_;
    std::function<SSL_CTX*(void)> ssl_context_provider_client_;

    /// Called with host and port before connecting; answers now or later, from any thread. What it
    /// answers is resolved in the ordinary way.
    std::function<void(const std::string&, const std::string&,
                       asio_service_custom_resolver_response)>
        custom_resolver_;

    /// Send timestamps of entries. All members must know it.
    bool replicate_log_timestamp_;
    /// The checksum of a request covers its payload, not only its header.
    bool crc_on_entire_message_;
    /// Send and verify a checksum for each entry. All members must know it.
    bool crc_on_payload_;
    /// A corrupt request came: header and payload, which may be null.
    std::function<void(std::shared_ptr<buffer>, std::shared_ptr<buffer>)> corrupted_msg_handler_;

    /// Several requests at a time on a connection.
    bool streaming_mode_;

    /// Use this context instead of an own one; the program runs it and keeps it alive.
    io_context_type* custom_io_context_;
};

}  // namespace nuraft
