#include "litert_model.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "failure.h"

namespace lightmobile {

namespace {

// By LiteRT's element types, which are TFLite's.
std::string dtype_of(int element_type) {
  switch (element_type) {
    case 1:
      return "float32";
    case 2:
      return "int32";
    case 3:
      return "uint8";
    case 4:
      return "int64";
    case 6:
      return "bool";
    case 7:
      return "int16";
    case 9:
      return "int8";
    case 10:
      return "float16";
    case 11:
      return "float64";
    case 13:
      return "uint64";
    case 16:
      return "uint32";
    case 17:
      return "uint16";
    default:
      throw Unsupported("a tensor of LiteRT's type " + std::to_string(element_type) +
                        " has no name in NumPy");
  }
}

TensorType type_of(const LiteRtRankedTensorType& type) {
  const LiteRtLayout& layout = type.layout;
  return {{layout.dimensions, layout.dimensions + layout.rank}, dtype_of(type.element_type)};
}

// Where in `tensors` each of the `count` tensors is that `get` tells.
template <typename Get>
std::vector<std::size_t> order_of(const std::vector<LiteRtHandle>& tensors, std::size_t count,
                                  Get get) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < count; ++i) {
    LiteRtHandle tensor = nullptr;
    check_litert(get(i, &tensor), "a tensor cannot be found");
    const auto found = std::find(tensors.begin(), tensors.end(), tensor);
    if (found == tensors.end()) throw RuntimeFailure("the signature lacks a tensor of the model");
    order.push_back(static_cast<std::size_t>(found - tensors.begin()));
  }
  return order;
}

void add_options(LiteRtHandle options, const char* name, const std::string& toml) {
  LiteRtHandle opaque = nullptr;
  check_litert(LiteRtCreateOpaqueOptions(name, strdup(toml.c_str()), std::free, &opaque),
               "the options cannot be made");
  check_litert(LiteRtAddOpaqueOptions(options, opaque), "the options are not taken");
}

// A buffer's memory, for as long as it is locked.
class Locked {
 public:
  Locked(LiteRtHandle buffer, int mode) : buffer_(buffer) {
    check_litert(LiteRtLockTensorBuffer(buffer, &address_, mode), "a buffer cannot be locked");
  }
  ~Locked() { LiteRtUnlockTensorBuffer(buffer_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

  void* address() const { return address_; }

 private:
  LiteRtHandle buffer_;
  void* address_ = nullptr;
};

std::size_t packed_size(LiteRtHandle buffer) {
  std::size_t size = 0;
  check_litert(LiteRtGetTensorBufferPackedSize(buffer, &size), "a buffer has no size");
  return size;
}

}  // namespace

void check_litert(LiteRtStatus status, const std::string& what) {
  if (status == 0) return;
  throw RuntimeFailure(what + ": LiteRT says status " + std::to_string(status));
}

LiteRTModel::LiteRTModel(LiteRtHandle environment, const std::string& path,
                         std::optional<int> threads, bool profile)
    : model_(nullptr, LiteRtDestroyModel),
      options_(nullptr, LiteRtDestroyOptions),
      compiled_(nullptr, LiteRtDestroyCompiledModel) {
  LiteRtHandle model = nullptr;
  check_litert(LiteRtCreateModelFromFile(environment, path.c_str(), &model),
               "the model cannot be read");
  model_.reset(model);
  compile(environment, threads, profile);
  LiteRtHandle signature = nullptr;
  LiteRtHandle subgraph = nullptr;
  check_litert(LiteRtGetModelSignature(model, 0, &signature), "the model has no signature");
  check_litert(LiteRtGetSignatureSubgraph(signature, &subgraph), "the signature has no subgraph");
  make_inputs(environment, signature, subgraph);
  make_outputs(environment, signature, subgraph);
}

void LiteRTModel::compile(LiteRtHandle environment, std::optional<int> threads, bool profile) {
  LiteRtHandle options = nullptr;
  check_litert(LiteRtCreateOptions(&options), "the options cannot be made");
  options_.reset(options);
  check_litert(LiteRtSetOptionsHardwareAccelerators(options, kLiteRtHardwareCpu),
               "the CPU cannot be chosen");
  if (threads) {
    add_options(options, "xnnpack", "num_threads = " + std::to_string(*threads) + "\n");
  }
  if (profile) add_options(options, "runtime_options_string", "enable_profiling = true\n");
  LiteRtHandle compiled = nullptr;
  check_litert(LiteRtCreateCompiledModel(environment, model_.get(), options, &compiled),
               "the model cannot be compiled");
  compiled_.reset(compiled);
}

void LiteRTModel::make_inputs(LiteRtHandle environment, LiteRtHandle signature,
                              LiteRtHandle subgraph) {
  std::size_t count = 0;
  check_litert(LiteRtGetNumSignatureInputs(signature, &count), "the inputs cannot be told");
  for (std::size_t i = 0; i < count; ++i) {
    LiteRtHandle tensor = nullptr;
    LiteRtHandle requirements = nullptr;
    check_litert(LiteRtGetSignatureInputTensorByIndex(signature, i, &tensor), "an input is none");
    check_litert(
        LiteRtGetCompiledModelInputBufferRequirements(compiled_.get(), 0, i, &requirements),
        "an input has no buffer");
    inputs_.add(environment, tensor, requirements);
  }
  check_litert(LiteRtGetNumSubgraphInputs(subgraph, &count), "the inputs cannot be told");
  inputs_.order = order_of(inputs_.tensors, count, [subgraph](std::size_t i, LiteRtHandle* tensor) {
    return LiteRtGetSubgraphInput(subgraph, i, tensor);
  });
}

void LiteRTModel::make_outputs(LiteRtHandle environment, LiteRtHandle signature,
                               LiteRtHandle subgraph) {
  std::size_t count = 0;
  check_litert(LiteRtGetNumSignatureOutputs(signature, &count), "the outputs cannot be told");
  for (std::size_t i = 0; i < count; ++i) {
    LiteRtHandle tensor = nullptr;
    LiteRtHandle requirements = nullptr;
    check_litert(LiteRtGetSignatureOutputTensorByIndex(signature, i, &tensor), "an output is none");
    check_litert(
        LiteRtGetCompiledModelOutputBufferRequirements(compiled_.get(), 0, i, &requirements),
        "an output has no buffer");
    outputs_.add(environment, tensor, requirements);
  }
  check_litert(LiteRtGetNumSubgraphOutputs(subgraph, &count), "the outputs cannot be told");
  outputs_.order =
      order_of(outputs_.tensors, count, [subgraph](std::size_t i, LiteRtHandle* tensor) {
        return LiteRtGetSubgraphOutput(subgraph, i, tensor);
      });
}

void LiteRTModel::Border::add(LiteRtHandle environment, LiteRtHandle tensor,
                              LiteRtHandle requirements) {
  LiteRtRankedTensorType type{};
  check_litert(LiteRtGetRankedTensorType(tensor, &type), "a tensor has no fixed shape");
  LiteRtHandle buffer = nullptr;
  check_litert(
      LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, requirements, &buffer),
      "a buffer cannot be made");
  buffers.emplace_back(buffer, LiteRtDestroyTensorBuffer);
  handles.push_back(buffer);
  tensors.push_back(tensor);
  types.push_back(type_of(type));
}

std::vector<TensorType> LiteRTModel::input_types() const {
  std::vector<TensorType> types;
  for (const std::size_t place : inputs_.order) types.push_back(inputs_.types[place]);
  return types;
}

bool LiteRTModel::is_fully_delegated() const {
  bool is_full = false;
  check_litert(LiteRtCompiledModelIsFullyAccelerated(compiled_.get(), &is_full),
               "the delegates cannot be told");
  return is_full;
}

void LiteRTModel::write(std::size_t input, const Bytes& bytes) {
  const Locked locked(inputs_.handles[inputs_.order[input]], kLiteRtLockWrite);
  std::memcpy(locked.address(), bytes.data(), bytes.size());
}

void LiteRTModel::run() {
  check_litert(
      LiteRtRunCompiledModel(compiled_.get(), 0, inputs_.handles.size(), inputs_.handles.data(),
                             outputs_.handles.size(), outputs_.handles.data()),
      "the inference failed");
}

std::vector<Array> LiteRTModel::outputs() const {
  std::vector<Array> copies;
  for (const std::size_t place : outputs_.order) {
    const LiteRtHandle buffer = outputs_.handles[place];
    const Locked locked(buffer, kLiteRtLockRead);
    const auto* start = static_cast<const std::byte*>(locked.address());
    copies.push_back({outputs_.types[place], Bytes(start, start + packed_size(buffer))});
  }
  return copies;
}

}  // namespace lightmobile
