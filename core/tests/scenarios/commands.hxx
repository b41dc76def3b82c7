#pragma once

#include <string>

#include "stage.hxx"

namespace scenarios {

/// Does what one line of a scenario says (README.md lists the commands). Throws
/// `std::invalid_argument` if it says nothing that can be done.
void perform(stage& on, const std::string& line);

}  // namespace scenarios
