#pragma once

#include <cstdio>

#include "pp_util.hxx"

namespace nuraft {

/// `snprintf` into a buffer of its own; longer text is cut to N - 1 characters. The text lives as
/// long as the object, and until the next `fmt`.
template <int N>
class strfmt {
public:
    /// `fmt` must outlive the object.
    strfmt(const char* fmt) : fmt_(fmt) { buf_[0] = '\0'; }

    template <typename... TArgs>
    const char* fmt(TArgs... args) {
        if (::snprintf(buf_, N, fmt_, args...) < 0) buf_[0] = '\0';
        return buf_;
    }

    __nocopy__(strfmt);

private:
    char buf_[N];
    const char* fmt_;
};

typedef strfmt<100> sstrfmt;
typedef strfmt<200> lstrfmt;

}  // namespace nuraft
