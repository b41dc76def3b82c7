#include "debugging_options.hxx"

namespace nuraft {

namespace {

debugging_options the_options;

}  // namespace

debugging_options& debugging_options::get_instance() {
    return the_options;
}

}  // namespace nuraft
