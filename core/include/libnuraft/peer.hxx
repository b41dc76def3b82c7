#pragma once

namespace nuraft {

/// A leader's record of another server. Internal, and not part of the surface yet: only the name is
/// declared, because `resp_msg` passes pointers to it on.
class peer;

}  // namespace nuraft
