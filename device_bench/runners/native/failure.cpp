#include "failure.h"

#include <cerrno>
#include <system_error>

namespace lightmobile {

SystemFailure::SystemFailure(const std::string& what)
    : Failure("OSError", what + ": " + std::generic_category().message(errno)) {}

}  // namespace lightmobile
