#include "litert_profile.h"

#include <nlohmann/json.hpp>

#include "litert_model.h"

namespace lightmobile {

namespace {

// Of TFLite's profiler: an operator, the call of a delegate, an operator inside a delegate.
constexpr int kOperator = 1 << 1;
constexpr int kDelegate = 1 << 2;
constexpr int kDelegated = 1 << 3;

}  // namespace

LiteRTProfiler::LiteRTProfiler(LiteRtHandle compiled) {
  check_litert(LiteRtCompiledModelGetProfiler(compiled, &profiler_), "there is no profiler");
}

void LiteRTProfiler::start() {
  // It counts from the first inference on, started or not.
  check_litert(LiteRtResetProfiler(profiler_), "the profiler cannot be emptied");
  check_litert(LiteRtStartProfiler(profiler_), "the profiler cannot be started");
}

std::vector<OperatorTime> LiteRTProfiler::stop() {
  check_litert(LiteRtStopProfiler(profiler_), "the profiler cannot be stopped");
  int count = 0;
  check_litert(LiteRtGetNumProfilerEvents(profiler_, &count), "the profile cannot be read");
  std::vector<LiteRtProfiledEvent> events(static_cast<std::size_t>(count));
  if (count > 0) {
    check_litert(LiteRtGetProfilerEvents(profiler_, count, events.data()),
                 "the profile cannot be read");
  }
  std::vector<OperatorTime> operators;
  for (const LiteRtProfiledEvent& event : events) {
    if (event.type != kOperator && event.type != kDelegated) continue;
    operators.push_back({event.tag == nullptr ? "" : event.tag,
                         static_cast<std::int64_t>(event.duration_us) * 1000,
                         event.type == kDelegated});
  }
  return operators;
}

std::string to_lines(int run, const std::vector<OperatorTime>& operators) {
  std::string lines;
  for (const OperatorTime& each : operators) {
    const nlohmann::json line = {{"run", run},
                                 {"name", each.name},
                                 {"duration_ns", each.duration_ns},
                                 {"delegated", each.is_delegated}};
    lines += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  return lines;
}

}  // namespace lightmobile
