#pragma once

#include <cstdint>

#include "buffer.hxx"
#include "ptr.hxx"

namespace nuraft {
namespace protocol {

/// What an append response says besides its header: one order to the leader (wire 4.8).
struct append_appendix {
    enum order : uint8_t {
        none = 0,
        do_not_rewind = 1,       ///< The program declined; ask for the same again.
        receiving_snapshot = 2,  ///< A snapshot is half received; go on with that.
        applied_index = 3,       ///< No order, but how far the state machine is.
    };
    order what = none;
    uint64_t applied = 0;  ///< With `applied_index` only.

    ptr<buffer> serialize() const;
    /// Null, another version, or an order that is not known: `none`.
    static append_appendix deserialize(const ptr<buffer>& ctx);
};

}  // namespace protocol
}  // namespace nuraft
