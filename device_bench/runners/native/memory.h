// Resident memory of this process, as the kernel counts it.
#pragma once

#include <cstdint>
#include <optional>

namespace lightmobile {

// Both are nothing where /proc cannot be read.
std::optional<std::int64_t> resident_bytes();
std::optional<std::int64_t> peak_bytes();

// Let the peak start again from what is resident now, where the system can.
void restart_peak();

}  // namespace lightmobile
