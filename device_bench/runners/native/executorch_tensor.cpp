#include "executorch_tensor.h"

#include <cstring>
#include <utility>

#include "failure.h"

namespace lightmobile {

namespace {

using executorch::aten::ScalarType;

const char* dtype_of(ScalarType type) {
  switch (type) {
    case ScalarType::Bool:
      return "bool";
    case ScalarType::Byte:
      return "uint8";
    case ScalarType::Char:
      return "int8";
    case ScalarType::Short:
      return "int16";
    case ScalarType::Int:
      return "int32";
    case ScalarType::Long:
      return "int64";
    case ScalarType::UInt16:
      return "uint16";
    case ScalarType::UInt32:
      return "uint32";
    case ScalarType::UInt64:
      return "uint64";
    case ScalarType::Half:
      return "float16";
    case ScalarType::Float:
      return "float32";
    case ScalarType::Double:
      return "float64";
    default:
      throw Unsupported("a tensor of ExecuTorch's type " + std::to_string(static_cast<int>(type)) +
                        " has no name in NumPy");
  }
}

// Copy dimensions `dim` and up of a tensor, one element or one row of elements at a time.
void copy_strided(const executorch::aten::Tensor& tensor, std::size_t item, ssize_t dim,
                  const std::byte* from, std::byte*& to) {
  if (dim == tensor.dim()) {
    std::memcpy(to, from, item);
    to += item;
    return;
  }
  const auto stride = static_cast<std::size_t>(tensor.strides()[static_cast<std::size_t>(dim)]);
  for (ssize_t i = 0; i < tensor.size(dim); ++i) {
    copy_strided(tensor, item, dim + 1, from + static_cast<std::size_t>(i) * stride * item, to);
  }
}

bool is_in_c_order(const executorch::aten::Tensor& tensor) {
  std::int64_t expected = 1;
  for (ssize_t dim = tensor.dim() - 1; dim >= 0; --dim) {
    if (tensor.size(dim) != 1 && tensor.strides()[static_cast<std::size_t>(dim)] != expected) {
      return false;
    }
    expected *= tensor.size(dim);
  }
  return true;
}

}  // namespace

TensorType type_of(const executorch::runtime::TensorInfo& info) {
  return {{info.sizes().begin(), info.sizes().end()}, dtype_of(info.scalar_type())};
}

Array copy_of(const executorch::aten::Tensor& tensor) {
  Array array{{{tensor.sizes().begin(), tensor.sizes().end()}, dtype_of(tensor.scalar_type())},
              Bytes(tensor.nbytes())};
  if (tensor.nbytes() == 0) return array;
  const auto* from = static_cast<const std::byte*>(tensor.const_data_ptr());
  if (is_in_c_order(tensor)) {
    std::memcpy(array.bytes.data(), from, array.bytes.size());
  } else {
    std::byte* to = array.bytes.data();
    copy_strided(tensor, static_cast<std::size_t>(tensor.element_size()), 0, from, to);
  }
  return array;
}

}  // namespace lightmobile
