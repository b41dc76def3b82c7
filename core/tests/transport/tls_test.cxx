#include <gtest/gtest.h>

#include <asio/ssl.hpp>

#include "transport/certificates.hxx"
#include "transport/doubles.hxx"
#include "transport/raw_socket.hxx"
#include "transport/request_codec.hxx"

namespace nuraft {
namespace transport {

namespace {

asio_service_options with(const certificates& c) {
    asio_service_options options;
    options.enable_ssl_ = true;
    options.server_cert_file_ = c.server_file();
    options.server_key_file_ = c.key_file();
    options.root_cert_file_ = c.root_file();
    options.thread_pool_size_ = 2;
    return options;
}

/// What a heartbeat from a service with these options to that listener comes to: empty, or the
/// error's text.
std::string exchange(const asio_service_options& options, const served& peer) {
    asio_service service(options);
    ptr<rpc_client> client = service.create_client(peer.endpoint());
    outcomes got;
    ptr<req_msg> req = heartbeat(3);
    rpc_handler record = got.recorder();
    client->send(req, record);
    EXPECT_TRUE(got.wait_for(1));
    if (got.all[0].resp) {
        EXPECT_EQ(got.all[0].resp->get_next_idx(), 4u);
    }
    return got.error(0);
}

}  // namespace

TEST(tls, a_member_whose_root_signed_the_certificate_is_served) {
    certificates farm("node");
    served peer(with(farm));
    EXPECT_EQ(exchange(with(farm), peer), "");
}

TEST(tls, streams_large_requests_in_order) {
    certificates farm("node");
    asio_service_options options = with(farm);
    options.streaming_mode_ = true;
    served peer(options);
    outcomes got;
    ptr<rpc_client> client = peer.service->create_client(peer.endpoint());
    for (ulong i = 0; i < 40; ++i) {
        ptr<req_msg> req = heartbeat(i);
        ptr<buffer> payload = buffer::alloc(100 * 1000);
        std::memset(payload->data_begin(), static_cast<int>(i), payload->size());
        req->log_entries().push_back(cs_new<log_entry>(1, payload));
        rpc_handler record = got.recorder();
        client->send(req, record);
    }
    ASSERT_TRUE(got.wait_for(40));
    for (ulong i = 0; i < 40; ++i) {
        ASSERT_NE(got.all[i].resp, nullptr) << got.error(i);
        EXPECT_EQ(got.all[i].resp->get_next_idx(), i + 1);
    }
}

TEST(tls, a_certificate_of_another_root_is_refused) {
    certificates farm("node");
    certificates stranger("stranger");
    served peer(with(farm));
    asio_service_options options = with(stranger);
    EXPECT_NE(exchange(options, peer).find("TLS handshake"), std::string::npos);
    EXPECT_EQ(peer.sink->count(cb_func::ConnectionOpened), 0u);
    options.skip_verification_ = true;
    EXPECT_EQ(exchange(options, peer), "");
    options.root_cert_file_.clear();  // needs none then
    EXPECT_EQ(exchange(options, peer), "");
}

TEST(tls, subjects_may_be_judged) {
    certificates farm("node");
    served peer(with(farm));
    asio_service_options options = with(farm);
    watched state;
    std::vector<std::string> subjects;
    options.verify_sn_ = [&](const std::string& subject) {
        state.change([&] { subjects.push_back(subject); });
        return true;
    };
    EXPECT_EQ(exchange(options, peer), "");
    EXPECT_EQ(subjects, (std::vector<std::string>{"/CN=node CA", "/CN=node"}));
    options.verify_sn_ = [](const std::string& subject) { return subject != "/CN=node"; };
    EXPECT_NE(exchange(options, peer).find("TLS handshake"), std::string::npos);
    options.verify_sn_ = [](const std::string&) -> bool { throw std::runtime_error("bad hook"); };
    EXPECT_NE(exchange(options, peer).find("TLS handshake"), std::string::npos);

    // Accepting a subject does not make up for a chain that does not verify.
    certificates stranger("stranger");
    options = with(stranger);
    options.verify_sn_ = [](const std::string&) { return true; };
    EXPECT_NE(exchange(options, peer).find("TLS handshake"), std::string::npos);
}

TEST(tls, a_plain_client_is_closed_without_an_answer) {
    certificates farm("node");
    served peer(with(farm));
    asio_service_options plain;
    plain.thread_pool_size_ = 1;
    EXPECT_NE(exchange(plain, peer), "");
    EXPECT_TRUE(peer.log->wait_for("TLS handshake failed"));
    EXPECT_EQ(peer.sink->count(cb_func::ConnectionOpened), 0u);
}

TEST(tls, a_tls_client_is_refused_by_a_plain_listener) {
    certificates farm("node");
    served peer;
    EXPECT_NE(exchange(with(farm), peer), "");
}

TEST(tls, versions_before_1_2_are_refused) {
    certificates farm("node");
    served peer(with(farm));
    const auto handshake = [&](int version) {
        asio::io_context context;
        asio::ssl::context tls(asio::ssl::context::tls_client);
        SSL_CTX_set_security_level(tls.native_handle(), 0);  // so that the client would do it
        SSL_CTX_set_min_proto_version(tls.native_handle(), version);
        SSL_CTX_set_max_proto_version(tls.native_handle(), version);
        asio::ssl::stream<asio::ip::tcp::socket> stream(context, tls);
        stream.next_layer().connect({asio::ip::address_v4::loopback(), peer.port()});
        asio::error_code ec;
        stream.handshake(asio::ssl::stream_base::client, ec);
        return !ec;
    };
    EXPECT_FALSE(handshake(TLS1_VERSION));
    EXPECT_FALSE(handshake(TLS1_1_VERSION));
    EXPECT_TRUE(handshake(TLS1_2_VERSION));
    EXPECT_TRUE(handshake(TLS1_3_VERSION));
}

TEST(tls, contexts_may_be_provided) {
    certificates farm("node");
    asio_service_options options;
    options.enable_ssl_ = true;
    options.ssl_context_provider_server_ = [&] {
        SSL_CTX* context = SSL_CTX_new(TLS_server_method());
        SSL_CTX_use_certificate_chain_file(context, farm.server_file().c_str());
        SSL_CTX_use_PrivateKey_file(context, farm.key_file().c_str(), SSL_FILETYPE_PEM);
        return context;
    };
    options.ssl_context_provider_client_ = [&] {
        SSL_CTX* context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_load_verify_locations(context, farm.root_file().c_str(), nullptr);
        return context;
    };
    options.thread_pool_size_ = 2;
    served peer(options);
    EXPECT_EQ(exchange(options, peer), "");
    options.ssl_context_provider_client_ = [] { return static_cast<SSL_CTX*>(nullptr); };
    EXPECT_THROW(asio_service{options}, std::runtime_error);
}

TEST(tls, missing_or_bad_files_are_an_error_at_the_start) {
    certificates farm("node");
    const auto error_with = [&](void (*spoil)(asio_service_options&, const certificates&)) {
        asio_service_options options = with(farm);
        spoil(options, farm);
        try {
            asio_service service(options);
        } catch (const std::runtime_error& e) {
            return std::string(e.what());
        }
        return std::string("none");
    };
    EXPECT_NE(error_with([](asio_service_options& o, const certificates&) {
                  o.server_cert_file_ = "/nonexistent.pem";
              }).find("server_cert_file_ \"/nonexistent.pem\""),
              std::string::npos);
    EXPECT_NE(error_with([](asio_service_options& o, const certificates& c) {
                  o.server_key_file_ = c.root_file();
              }).find("server_key_file_"),
              std::string::npos);
    // A key under a pass phrase is refused and nobody is asked for the phrase.
    EXPECT_NE(error_with([](asio_service_options& o, const certificates& c) {
                  o.server_key_file_ = c.encrypted_key_file();
              }).find("server_key_file_"),
              std::string::npos);
    EXPECT_NE(error_with([](asio_service_options& o, const certificates&) {
                  o.root_cert_file_.clear();
              }).find("root_cert_file_"),
              std::string::npos);
}

TEST(tls, a_service_stops_with_a_handshake_under_way) {
    certificates farm("node");
    served peer(with(farm));
    raw_socket silent = raw_socket::connected_to(peer.port());
    outcomes got;
    raw_acceptor mute;
    ptr<rpc_client> client = peer.service->create_client(mute.endpoint());
    ptr<req_msg> req = heartbeat(1);
    rpc_handler record = got.recorder();
    client->send(req, record);
    raw_socket accepted = mute.accept();
    EXPECT_EQ(accepted.receive(1).size(), 1u);  // the hello has begun
    peer.service->stop();
    ASSERT_EQ(got.all.size(), 1u);
    EXPECT_NE(got.all[0].error, nullptr);
    EXPECT_TRUE(silent.closed_by_peer());
}

}  // namespace transport
}  // namespace nuraft
