// A tensor's type as the protocol writes it, and its numbers, raw and in C order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lightmobile {

using Bytes = std::vector<std::byte>;

struct TensorType {
  std::vector<std::int64_t> shape;
  std::string dtype;  // as NumPy names it

  bool operator==(const TensorType& other) const {
    return shape == other.shape && dtype == other.dtype;
  }
};

struct Array {
  TensorType type;
  Bytes bytes;
};

// "[1, 3, 224, 224] float32"
std::string describe(const TensorType& type);

// The bytes that a tensor takes. Throws Usage for a dtype that is none, or more than there can be.
std::size_t size_of(const TensorType& type);

}  // namespace lightmobile
