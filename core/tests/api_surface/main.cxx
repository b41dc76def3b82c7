#include "checks.hxx"

// Runs what the generated checklist says about values; that it compiles is the larger part.

namespace nuraft {
namespace api_surface {

#define SECTION(name) void name(checks& c);
#include "sections.inc"
#undef SECTION

}  // namespace api_surface
}  // namespace nuraft

int main() {
    using namespace nuraft::api_surface;
    checks c;
#define SECTION(name) name(c);
#include "sections.inc"
#undef SECTION
    std::cout << c.count() << " values checked, " << c.failures() << " differ" << std::endl;
    return c.failures() == 0 && c.count() > 0 ? 0 : 1;
}
