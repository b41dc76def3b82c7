#include "raft3d/tls_credentials.hxx"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "authority.hxx"
#include "raft3d/src/ffi.rs.h"

// The certificates of the Raft port: handshakes in memory, between two ends as two nodes have them.

namespace raft3d {
namespace test {
namespace {

rust::Slice<const uint8_t> bytes(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// One node's credentials, and what it refused.
struct node_end {
    node_end(const identity& shown, const std::string& roots)
        : credentials(bytes(shown.chain), bytes(shown.key), bytes(roots),
                      rust::Box<TlsAudit>(std::make_unique<TlsAudit>(TlsAudit{seen}))) {}

    void replace(const identity& shown, const std::string& roots) const {
        credentials.replace(bytes(shown.chain), bytes(shown.key), bytes(roots));
    }
    std::string refusals() const {
        std::lock_guard<std::mutex> guard(seen->lock);
        std::string all;
        for (const std::string& one : seen->told) all += one + "\n";
        return all;
    }

    const std::shared_ptr<TlsAudit::refusals> seen = std::make_shared<TlsAudit::refusals>();
    const tls_credentials credentials;
};

using context = std::shared_ptr<SSL_CTX>;

context client_of(const node_end& node) {
    return context(node.credentials.context_of_client(), SSL_CTX_free);
}

context server_of(const node_end& node) {
    return context(node.credentials.context_of_server(), SSL_CTX_free);
}

bool waits(SSL* end, int result) {
    const int error = SSL_get_error(end, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/// The subject that the server shows once both ends are content; empty if one is not.
std::string shake_hands(const context& from, const context& to) {
    const std::shared_ptr<SSL> client(SSL_new(from.get()), SSL_free);
    const std::shared_ptr<SSL> server(SSL_new(to.get()), SSL_free);
    BIO* here = nullptr;
    BIO* there = nullptr;
    if (BIO_new_bio_pair(&here, 0, &there, 0) != 1) return "";
    SSL_set_bio(client.get(), here, here);
    SSL_set_bio(server.get(), there, there);
    SSL_set_connect_state(client.get());
    SSL_set_accept_state(server.get());
    for (int round = 0; round < 20; ++round) {
        const int asked = SSL_do_handshake(client.get());
        const int answered = SSL_do_handshake(server.get());
        if (asked == 1 && answered == 1) {
            const std::shared_ptr<X509> shown(SSL_get1_peer_certificate(client.get()), X509_free);
            char name[256] = "";
            X509_NAME_oneline(X509_get_subject_name(shown.get()), name, sizeof(name));
            return name;
        }
        if (asked != 1 && !waits(client.get(), asked)) break;
        if (answered != 1 && !waits(server.get(), answered)) break;
    }
    return "";
}

class tls : public ::testing::Test {
protected:
    const authority ours{"ours"};
    const authority theirs{"theirs"};
    const node_end first{ours.issue("node-1.raft3d"), ours.root()};
    const node_end second{ours.issue("node-2.raft3d"), ours.root()};
};

TEST_F(tls, nodes_of_one_cluster_trust_one_another) {
    EXPECT_EQ(shake_hands(client_of(first), server_of(second)), "/CN=node-2.raft3d");
    EXPECT_EQ(shake_hands(client_of(second), server_of(first)), "/CN=node-1.raft3d");
    EXPECT_EQ(first.refusals() + second.refusals(), "");
}

TEST_F(tls, a_chain_with_an_authority_in_between_is_shown_whole) {
    const node_end far(ours.issue("node-3.raft3d", 3600, true), ours.root());
    EXPECT_EQ(shake_hands(client_of(far), server_of(first)), "/CN=node-1.raft3d");
    EXPECT_EQ(shake_hands(client_of(first), server_of(far)), "/CN=node-3.raft3d");
}

TEST_F(tls, whoever_is_not_a_node_of_the_cluster_is_refused_at_both_ends) {
    const struct {
        identity shown;
        const char* reason;
    } strangers[] = {
        {theirs.issue("node-2.raft3d"), "unable to get local issuer certificate"},
        {ours.issue("node-2.raft3d", -60), "certificate has expired"},
        {ours.issue("printer.example"), "no name of the form node-N.raft3d"},
        {ours.issue("node-.raft3d"), "no name of the form node-N.raft3d"},
        {ours.issue("node-02.raft3d"), "no name of the form node-N.raft3d"},
        {ours.issue("node-2.raft3d.example"), "no name of the form node-N.raft3d"},
    };
    for (const auto& stranger : strangers) {
        const node_end judge(ours.issue("node-1.raft3d"), ours.root());
        const node_end other(stranger.shown, ours.root());
        EXPECT_EQ(shake_hands(client_of(other), server_of(judge)), "") << stranger.reason;
        EXPECT_NE(judge.refusals().find("incoming /CN="), std::string::npos) << judge.refusals();
        EXPECT_EQ(shake_hands(client_of(judge), server_of(other)), "") << stranger.reason;
        EXPECT_NE(judge.refusals().find("outgoing /CN="), std::string::npos) << judge.refusals();
        EXPECT_NE(judge.refusals().find(stranger.reason), std::string::npos) << judge.refusals();
    }
}

TEST_F(tls, what_is_replaced_holds_for_the_next_handshake_in_contexts_that_exist) {
    const context from = client_of(first);
    const context to = server_of(second);
    EXPECT_EQ(shake_hands(from, to), "/CN=node-2.raft3d");
    second.replace(theirs.issue("node-22.raft3d"), ours.root() + theirs.root());
    EXPECT_EQ(shake_hands(from, to), "") << "the other end does not know that CA yet";
    first.replace(ours.issue("node-1.raft3d"), ours.root() + theirs.root());
    EXPECT_EQ(shake_hands(from, to), "/CN=node-22.raft3d");
}

TEST_F(tls, a_replacement_that_does_not_fit_changes_nothing) {
    const identity good = ours.issue("node-3.raft3d");
    const identity other = ours.issue("node-4.raft3d");
    EXPECT_THROW(second.replace({good.chain, other.key}, ours.root()), std::runtime_error);
    EXPECT_THROW(second.replace({good.chain, authority::encrypted(good)}, ours.root()),
                 std::runtime_error);
    EXPECT_THROW(second.replace({"", good.key}, ours.root()), std::runtime_error);
    EXPECT_THROW(second.replace({good.chain, "no key"}, ours.root()), std::runtime_error);
    EXPECT_THROW(second.replace(good, "no root"), std::runtime_error);
    EXPECT_EQ(shake_hands(client_of(first), server_of(second)), "/CN=node-2.raft3d");
}

TEST_F(tls, handshakes_go_on_while_certificates_are_replaced) {
    const std::vector<identity> shown = {ours.issue("node-2.raft3d"),
                                         ours.issue("node-2.raft3d", 3600, true)};
    std::atomic<bool> stop{false};
    std::atomic<int> failed{0};
    std::vector<std::thread> hands;
    for (int i = 0; i < 2; ++i) {
        hands.emplace_back([this, &stop, &failed] {
            const context from = client_of(first);
            const context to = server_of(second);
            while (!stop) failed += shake_hands(from, to).empty() ? 1 : 0;
        });
    }
    for (size_t round = 0; round < 30; ++round) {
        second.replace(shown[round % 2], ours.root());
        first.replace(ours.issue("node-1.raft3d"), ours.root());
    }
    stop = true;
    for (std::thread& t : hands) t.join();
    EXPECT_EQ(failed, 0) << first.refusals() << second.refusals();
}

}  // namespace
}  // namespace test
}  // namespace raft3d
