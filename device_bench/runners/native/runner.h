// Answers requests with one engine.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "engine.h"
#include "request.h"
#include "serve.h"

namespace lightmobile {

class Runner {
 public:
  explicit Runner(const MakeEngine& make_engine);

  // Carry `request` out; whatever it throws becomes the answer.
  nlohmann::json answer(const Request& request);

 private:
  nlohmann::json carry_out(const Hello& request);
  nlohmann::json carry_out(const Load& request);
  nlohmann::json carry_out(const Run& request);
  nlohmann::json carry_out(const GetMemory& request);
  nlohmann::json carry_out(const Profile& request);
  nlohmann::json carry_out(const GetOutputs& request);
  nlohmann::json carry_out(const Close& request);

  std::vector<std::int64_t> time(int count);
  void require_loaded() const;

  std::unique_ptr<Engine> engine_;
  std::string import_error_;
  bool is_loaded_ = false;
  std::vector<Array> inputs_;
  std::optional<std::int64_t> baseline_bytes_;
};

nlohmann::json failed(const std::string& stage, const std::string& code, const std::string& error);

}  // namespace lightmobile
