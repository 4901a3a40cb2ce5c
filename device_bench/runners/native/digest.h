// SHA-256 of what a runner computed.
#pragma once

#include <string>
#include <vector>

#include "tensor.h"

namespace lightmobile {

// The digest of the bytes of all `arrays`, one after another, in hexadecimal.
std::string sha256_of(const std::vector<Array>& arrays);

}  // namespace lightmobile
