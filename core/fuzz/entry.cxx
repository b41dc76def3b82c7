// What libFuzzer calls. Built once for each target, which the build names.
#include "targets.hxx"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::RAFT3D_FUZZ_TARGET(data, size);  // An exception ends the process: a finding.
    return 0;
}
