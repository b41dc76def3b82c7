#pragma once

#ifdef __linux__
#include <pthread.h>
#endif

namespace nuraft {

/// For debuggers and `top`; at most 15 characters.
inline void name_this_thread(const char* name) {
#ifdef __linux__
    pthread_setname_np(pthread_self(), name);
#else
    (void)name;
#endif
}

}  // namespace nuraft
