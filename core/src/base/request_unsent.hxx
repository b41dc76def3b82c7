#pragma once

#include "rpc_exception.hxx"

namespace nuraft {

/// The request never left this process, so that nobody else can have acted on it.
class request_unsent : public rpc_exception {
public:
    using rpc_exception::rpc_exception;
};

}  // namespace nuraft
