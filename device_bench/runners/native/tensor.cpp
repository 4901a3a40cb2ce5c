#include "tensor.h"

#include <map>

#include "failure.h"

namespace lightmobile {

namespace {

std::size_t item_size(const std::string& dtype) {
  static const std::map<std::string, std::size_t> sizes = {
      {"bool", 1},  {"int8", 1},   {"uint8", 1},   {"int16", 2}, {"uint16", 2}, {"float16", 2},
      {"int32", 4}, {"uint32", 4}, {"float32", 4}, {"int64", 8}, {"uint64", 8}, {"float64", 8},
  };
  const auto found = sizes.find(dtype);
  if (found == sizes.end()) throw Usage("there is no dtype '" + dtype + "'");
  return found->second;
}

}  // namespace

std::string describe(const TensorType& type) {
  std::string text = "[";
  for (std::size_t i = 0; i < type.shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(type.shape[i]);
  }
  return text + "] " + type.dtype;
}

std::size_t size_of(const TensorType& type) {
  std::size_t size = item_size(type.dtype);
  for (const std::int64_t length : type.shape) {
    if (__builtin_mul_overflow(size, length, &size)) {
      throw Usage("no memory holds " + describe(type));
    }
  }
  return size;
}

}  // namespace lightmobile
