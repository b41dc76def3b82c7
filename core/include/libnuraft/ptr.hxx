#pragma once

#include <memory>
#include <utility>

namespace nuraft {

/// Shared ownership everywhere in the API.
template <typename T>
using ptr = std::shared_ptr<T>;

template <typename T>
using wptr = std::weak_ptr<T>;

/// `std::make_shared` under the API's name. Argument types may be given after `T`.
template <typename T, typename... TArgs>
inline ptr<T> cs_new(TArgs&&... args) {
    return std::make_shared<T>(std::forward<TArgs>(args)...);
}

}  // namespace nuraft
