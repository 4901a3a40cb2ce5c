// LiteRT's compiled model on the CPU, whose delegate is XNNPACK.
#pragma once

#include <memory>

#include "engine.h"
#include "litert_model.h"

namespace lightmobile {

class LiteRTEngine : public Engine {
 public:
  LiteRTEngine();

  std::string runtime() const override { return "tflite"; }
  std::map<std::string, std::string> versions() const override;
  std::string timed() const override;
  void load(const Load& request) override;
  std::optional<int> threads() const override { return threads_; }
  std::vector<std::string> delegates() const override;
  void set_inputs(const std::vector<Array>& inputs) override;
  void infer() override { model_->run(); }
  std::vector<Array> outputs() const override { return model_->outputs(); }
  std::string profile(int count, const std::vector<Array>& inputs,
                      const std::string& trace) override;

 private:
  LiteRtHandle environment_ = nullptr;  // lives as long as the process
  std::unique_ptr<LiteRTModel> model_;
  std::optional<int> threads_;
  std::string artifact_;
  bool is_profiled_ = false;
  bool are_inputs_checked_ = false;
};

}  // namespace lightmobile
