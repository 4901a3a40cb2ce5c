// The processor cores that this process may run on.
#pragma once

#include <optional>
#include <vector>

namespace lightmobile {

// Cores of the system that are on.
int number_of_cores();

// Threads of this process, or 0 where that cannot be told.
int number_of_threads();

// Keep this process to `cores`, where given, and return those that it may run on. The threads
// that it makes later inherit them.
std::vector<int> take_cores(const std::optional<std::vector<int>>& cores);

}  // namespace lightmobile
