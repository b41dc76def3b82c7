#pragma once

#include <exception>
#include <string>
#include <utility>

#include "pp_util.hxx"
#include "ptr.hxx"
#include "req_msg.hxx"

namespace nuraft {

/// A request got no answer.
class rpc_exception : public std::exception {
    __nocopy__(rpc_exception);

public:
    rpc_exception(const std::string& err, ptr<req_msg> req) : req_(std::move(req)), err_(err) {}

    /// The request that failed.
    ptr<req_msg> req() const { return req_; }

    virtual const char* what() const throw() override { return err_.c_str(); }

private:
    ptr<req_msg> req_;
    std::string err_;
};

}  // namespace nuraft
