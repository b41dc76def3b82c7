#include "transport/endpoint.hxx"

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace nuraft {
namespace transport {

namespace {

/// 0 for a number that is no port.
unsigned port_number(const std::string& digits, const std::string& endpoint) {
    const bool numeric = !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) {
        return std::isdigit(static_cast<unsigned char>(c)) != 0;
    });
    if (!numeric)
        throw std::invalid_argument("the port of endpoint \"" + endpoint +
                                    "\" is not a number; write host:port");
    unsigned port = 0;
    for (char c : digits) {
        port = port * 10 + static_cast<unsigned>(c - '0');
        if (port > 65535) return 0;
    }
    return port;
}

}  // namespace

std::optional<endpoint_name> parse_endpoint(const std::string& text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos) return std::nullopt;
    const std::string before = text.substr(0, colon);
    const size_t scheme = before.rfind("://");
    const std::string host = scheme == std::string::npos ? before : before.substr(scheme + 3);
    const unsigned port = port_number(text.substr(colon + 1), text);
    if (host.empty() || port == 0) return std::nullopt;
    return endpoint_name{host, std::to_string(port)};
}

}  // namespace transport
}  // namespace nuraft
