#pragma once

#include <optional>
#include <string>

namespace nuraft {
namespace transport {

/// Where a member is reached.
struct endpoint_name {
    std::string host;
    std::string port;  ///< Decimal, 1..65535.
};

/// Reads `host:port` or `scheme://host:port`; the scheme is ignored, the port is what follows the
/// last colon. Nothing if the colon or the host is missing or the port is outside of 1..65535.
/// Throws `std::invalid_argument` if the port is not a number.
std::optional<endpoint_name> parse_endpoint(const std::string& text);

}  // namespace transport
}  // namespace nuraft
