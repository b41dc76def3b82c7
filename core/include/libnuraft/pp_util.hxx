#pragma once

#include <mutex>

#define __override__ override

/// Deletes copying of `cls`. The access is private afterwards.
#define __nocopy__(cls)       \
private:                      \
    cls(const cls&) = delete; \
    cls& operator=(const cls&) = delete;

#define nilptr nullptr

/// Default constructor and virtual destructor of an interface, and no copying. The access is
/// private afterwards.
#define __interface_body__(cls) \
public:                         \
    cls() {}                    \
    virtual ~cls() {}           \
    __nocopy__(cls)

#define auto_lock(lock) std::lock_guard<std::mutex> guard(lock)
#define recur_lock(lock) std::unique_lock<std::recursive_mutex> guard(lock)
