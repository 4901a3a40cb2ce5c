#include "digest.h"

#include <sys/types.h>
// libmd's, after the types that it takes for granted.
#include <sha2.h>

namespace lightmobile {

std::string sha256_of(const std::vector<Array>& arrays) {
  SHA2_CTX context;
  SHA256Init(&context);
  for (const Array& array : arrays) {
    SHA256Update(&context, reinterpret_cast<const std::uint8_t*>(array.bytes.data()),
                 array.bytes.size());
  }
  char digest[SHA256_DIGEST_STRING_LENGTH];
  return SHA256End(&context, digest);
}

}  // namespace lightmobile
