// ExecuTorch's Module API out of the wheel: a program's `forward` method.
#pragma once

#include <executorch/devtools/etdump/etdump_flatcc.h>
#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>

#include <memory>

#include "engine.h"

namespace lightmobile {

class ExecuTorchEngine : public Engine {
 public:
  ExecuTorchEngine();

  std::string runtime() const override { return "executorch"; }
  std::map<std::string, std::string> versions() const override;
  std::string timed() const override;
  void load(const Load& request) override;
  std::optional<int> threads() const override;
  std::vector<std::string> delegates() const override { return delegates_; }
  void set_inputs(const std::vector<Array>& inputs) override;
  void infer() override;
  std::vector<Array> outputs() const override;
  std::string profile(int count, const std::vector<Array>& inputs,
                      const std::string& trace) override;

 private:
  void check_delegates(const executorch::runtime::MethodMeta& meta);
  void read_signature(const executorch::runtime::MethodMeta& meta);
  void own_outputs(const executorch::runtime::MethodMeta& meta);
  void wrap_inputs(const std::vector<Array>& inputs);

  std::unique_ptr<executorch::extension::Module> module_;
  executorch::etdump::ETDumpGen* tracer_ = nullptr;  // the module's own
  std::vector<std::string> delegates_;
  std::vector<TensorType> input_types_;
  std::vector<executorch::extension::TensorPtr> inputs_;
  std::vector<executorch::runtime::EValue> input_values_;
  std::vector<executorch::extension::TensorPtr> own_outputs_;
  std::vector<executorch::runtime::EValue> outputs_;
};

}  // namespace lightmobile
