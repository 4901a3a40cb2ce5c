// LiteRT's times per operator.
#pragma once

#include <string>
#include <vector>

#include "litert_api.h"

namespace lightmobile {

struct OperatorTime {
  std::string name;
  std::int64_t duration_ns;  // LiteRT counts whole microseconds
  bool is_delegated;
};

// Collects the operators of one run of a model that was compiled for profiling.
class LiteRTProfiler {
 public:
  explicit LiteRTProfiler(LiteRtHandle compiled);

  void start();
  std::vector<OperatorTime> stop();

 private:
  LiteRtHandle profiler_ = nullptr;
};

// A line of JSON for each operator of a run: the protocol's format `litert`.
std::string to_lines(int run, const std::vector<OperatorTime>& operators);

}  // namespace lightmobile
