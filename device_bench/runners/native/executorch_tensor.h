// ExecuTorch's tensors and ours.
#pragma once

#include <executorch/runtime/core/exec_aten/exec_aten.h>
#include <executorch/runtime/executor/method_meta.h>

#include "tensor.h"

namespace lightmobile {

// The type as NumPy names it. Throws Unsupported for what NumPy has no name for.
TensorType type_of(const executorch::runtime::TensorInfo& info);

// A copy in C order, whatever order the program computes in.
Array copy_of(const executorch::aten::Tensor& tensor);

}  // namespace lightmobile
