// Whole files.
#pragma once

#include <cstddef>
#include <string>

#include "tensor.h"

namespace lightmobile {

// Throws unless there is a file at `path`: a pipe or device would be waited for, or never end.
void check_file(const std::string& path);

// The numbers of a tensor. Throws Usage where the file is of another size.
Bytes read_tensor(const std::string& path, const TensorType& type);

void write_file(const std::string& path, const void* data, std::size_t size);

// The text of a small file, or "" where it cannot be read.
std::string read_text(const std::string& path);

}  // namespace lightmobile
