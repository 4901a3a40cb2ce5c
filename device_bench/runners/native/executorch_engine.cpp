#include "executorch_engine.h"

#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/platform/runtime.h>
#include <gnu/libc-version.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "executorch_tensor.h"
#include "executorch_threadpool.h"
#include "failure.h"
#include "files.h"

namespace lightmobile {

namespace {

using executorch::aten::SizesType;
using executorch::aten::Tensor;
using executorch::etdump::ETDumpGen;
using executorch::extension::make_tensor_ptr;
using executorch::extension::Module;
using executorch::extension::TensorPtr;
using executorch::extension::threadpool::get_threadpool;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::MethodMeta;
using executorch::runtime::Program;
using executorch::runtime::Result;
using executorch::runtime::Tag;
using executorch::runtime::TensorInfo;

constexpr const char* kMethod = "forward";

void check(Error error, const std::string& what) {
  if (error == Error::Ok) return;
  throw RuntimeFailure(what + ": ExecuTorch says " + executorch::runtime::to_string(error));
}

template <typename T>
T& value(Result<T>& result, const std::string& what) {
  check(result.error(), what);
  return result.get();
}

bool is_registered(const std::string& backend) {
  const auto* found = executorch::runtime::get_backend_class(backend.c_str());
  return found != nullptr && found->is_available();
}

bool is_in_c_order(const TensorInfo& info) {
  std::size_t next = 0;
  return std::all_of(info.dim_order().begin(), info.dim_order().end(),
                     [&next](std::size_t dim) { return dim == next++; });
}

TensorPtr make_tensor(const TensorInfo& info) {
  return make_tensor_ptr(
      {info.sizes().begin(), info.sizes().end()}, std::vector<std::uint8_t>(info.nbytes()),
      {info.dim_order().begin(), info.dim_order().end()}, {}, info.scalar_type());
}

}  // namespace

ExecuTorchEngine::ExecuTorchEngine() { executorch::runtime::runtime_init(); }

std::map<std::string, std::string> ExecuTorchEngine::versions() const {
  return {{"executorch", EXECUTORCH_VERSION}, {"glibc", gnu_get_libc_version()}};
}

std::string ExecuTorchEngine::timed() const {
  return "Module::execute(); inputs are copied before it and outputs after it";
}

std::optional<int> ExecuTorchEngine::threads() const {
  const auto* pool = get_threadpool();
  if (pool == nullptr) return std::nullopt;
  return static_cast<int>(pool->get_thread_count());
}

void ExecuTorchEngine::load(const Load& request) {
  // The last program goes first, with all that lies in its memory.
  inputs_.clear();
  input_values_.clear();
  outputs_.clear();
  tracer_ = nullptr;
  module_.reset();
  own_outputs_.clear();
  if (request.threads) {
    auto* pool = get_threadpool();
    if (pool == nullptr ||
        !pool->_unsafe_reset_threadpool(static_cast<std::uint32_t>(*request.threads))) {
      throw RuntimeFailure("the threads cannot be set");
    }
  }
  std::unique_ptr<ETDumpGen> tracer;
  if (request.profile) tracer = std::make_unique<ETDumpGen>();
  tracer_ = tracer.get();
  module_ = std::make_unique<Module>(request.artifact, Module::LoadMode::Mmap, std::move(tracer));
  check(module_->load(Program::Verification::InternalConsistency), "the program cannot be read");
  Result<MethodMeta> meta = module_->method_meta(kMethod);
  check_delegates(value(meta, "the program has no forward method"));
  check(module_->load_method(kMethod), "the program cannot be loaded");
  read_signature(*meta);
  own_outputs(*meta);
}

void ExecuTorchEngine::check_delegates(const MethodMeta& meta) {
  std::set<std::string> named;
  for (std::size_t i = 0; i < meta.num_backends(); ++i) {
    Result<const char*> name = meta.get_backend_name(i);
    named.insert(value(name, "a delegate has no name"));
  }
  std::string missing;
  for (const std::string& name : named) {
    if (!is_registered(name)) missing += (missing.empty() ? "" : ", ") + name;
  }
  if (!missing.empty()) {
    throw Unsupported("the program is for " + missing +
                      ", which ExecuTorch's packages for Linux do not have here: it needs the app");
  }
  delegates_.assign(named.begin(), named.end());
}

void ExecuTorchEngine::read_signature(const MethodMeta& meta) {
  input_types_.clear();
  for (std::size_t i = 0; i < meta.num_inputs(); ++i) {
    Result<TensorInfo> info = meta.input_tensor_meta(i);
    input_types_.push_back(type_of(value(info, "an input is no tensor")));
    if (!is_in_c_order(*info)) {
      throw Unsupported("input " + std::to_string(i) + " of the program is not in C order");
    }
  }
  for (std::size_t i = 0; i < meta.num_outputs(); ++i) {
    Result<TensorInfo> info = meta.output_tensor_meta(i);
    type_of(value(info, "an output is no tensor"));
  }
}

// A program may leave the memory of its outputs to its caller.
void ExecuTorchEngine::own_outputs(const MethodMeta& meta) {
  own_outputs_.clear();
  for (std::size_t i = 0; i < meta.num_outputs(); ++i) {
    Result<TensorInfo> info = meta.output_tensor_meta(i);
    if (value(info, "an output is no tensor").is_memory_planned()) continue;
    own_outputs_.push_back(make_tensor(*info));
    check(module_->set_output(kMethod, EValue(*own_outputs_.back()), i),
          "an output cannot be given memory");
  }
}

void ExecuTorchEngine::wrap_inputs(const std::vector<Array>& inputs) {
  check_inputs(inputs, input_types_);
  inputs_.clear();
  input_values_.clear();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Result<MethodMeta> meta = module_->method_meta(kMethod);
    Result<TensorInfo> info = value(meta, "the method is gone").input_tensor_meta(i);
    const std::vector<std::int64_t>& shape = inputs[i].type.shape;
    // ExecuTorch reads it only, or copies it; its type has no word for that.
    auto* data = const_cast<std::byte*>(inputs[i].bytes.data());
    inputs_.push_back(make_tensor_ptr(std::vector<SizesType>(shape.begin(), shape.end()), data,
                                      value(info, "an input is no tensor").scalar_type()));
    input_values_.emplace_back(*inputs_.back());
  }
}

void ExecuTorchEngine::set_inputs(const std::vector<Array>& inputs) {
  if (inputs_.empty()) wrap_inputs(inputs);
  // Planned inputs share memory with what the program computes.
  check(module_->set_inputs(kMethod, input_values_), "the inputs are not taken");
}

void ExecuTorchEngine::infer() {
  Result<std::vector<EValue>> computed = module_->execute(kMethod);
  outputs_ = std::move(value(computed, "the inference failed"));
}

std::vector<Array> ExecuTorchEngine::outputs() const {
  std::vector<Array> copies;
  for (const EValue& output : outputs_) copies.push_back(copy_of(output.toTensor()));
  return copies;
}

std::string ExecuTorchEngine::profile(int count, const std::vector<Array>& inputs,
                                      const std::string& trace) {
  if (tracer_ == nullptr) throw Unsupported("the program was not loaded for profiling");
  for (int i = 0; i < count; ++i) {
    set_inputs(inputs);
    infer();
  }
  const executorch::etdump::ETDumpResult dump = tracer_->get_etdump_data();
  const std::unique_ptr<void, decltype(&std::free)> owned(dump.buf, &std::free);
  if (dump.buf == nullptr) throw RuntimeFailure("ExecuTorch has traced nothing");
  write_file(trace, dump.buf, dump.size);
  return "etdump";
}

}  // namespace lightmobile
