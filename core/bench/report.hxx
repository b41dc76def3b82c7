#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "load.hxx"
#include "options.hxx"

namespace bench {

/// One measured case.
struct case_result {
    mode how = mode::blocking;
    int threads = 1;
    load_result leader;
    resources all;  ///< Used by the three servers together, clients included.
};

void print_table_head(std::ostream& out);
void print_row(std::ostream& out, const options& o, const case_result& c);

/// The options, the machine, and all results.
void write_json(std::ostream& out, const options& o, const std::vector<case_result>& cases);

}  // namespace bench
