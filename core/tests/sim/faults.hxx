#pragma once

namespace sim {

class cluster;

/// Something goes wrong, or an operator does something: one of the kinds that are switched on.
void inject_fault(cluster& world);

}  // namespace sim
