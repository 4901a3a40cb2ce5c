#include "litert_engine.h"

#include <gnu/libc-version.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cores.h"
#include "failure.h"
#include "files.h"
#include "litert_profile.h"

namespace lightmobile {

namespace {

constexpr unsigned kProbeTimeoutS = 120;

bool has_delegated_operator(LiteRtHandle environment, const std::string& artifact) {
  LiteRTModel model(environment, artifact, 1, true);
  LiteRTProfiler profiler(model.handle());
  profiler.start();
  model.run();
  const std::vector<OperatorTime> operators = profiler.stop();
  return std::any_of(operators.begin(), operators.end(),
                     [](const OperatorTime& each) { return each.is_delegated; });
}

// Whether XNNPACK takes part of a model of which it does not take all. Only a profiled inference
// tells; a process of its own runs it, so that its memory and heat are not this one's.
bool is_partly_delegated(LiteRtHandle environment, const std::string& artifact) {
  const pid_t child = fork();
  if (child < 0) throw SystemFailure("the delegates cannot be told");
  if (child == 0) {
    alarm(kProbeTimeoutS);
    try {
      _exit(has_delegated_operator(environment, artifact) ? 1 : 0);
    } catch (const std::exception&) {
      _exit(2);
    }
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
    throw RuntimeFailure("LiteRT does not tell which operators XNNPACK takes");
  }
  return WEXITSTATUS(status) == 1;
}

}  // namespace

LiteRTEngine::LiteRTEngine() {
  check_litert(LiteRtCreateEnvironment(0, nullptr, &environment_), "LiteRT cannot be started");
}

std::map<std::string, std::string> LiteRTEngine::versions() const {
  return {{"ai-edge-litert", LITERT_VERSION}, {"glibc", gnu_get_libc_version()}};
}

std::string LiteRTEngine::timed() const {
  return "LiteRtRunCompiledModel(); inputs are copied before it and outputs after it";
}

void LiteRTEngine::load(const Load& request) {
  model_.reset();
  are_inputs_checked_ = false;
  const int threads_before = number_of_threads();
  model_ = std::make_unique<LiteRTModel>(environment_, request.artifact, request.threads,
                                         request.profile);
  artifact_ = request.artifact;
  is_profiled_ = request.profile;
  // LiteRT tells its threads by making them: all but the one that asks.
  threads_ =
      threads_before == 0 ? std::nullopt : std::optional(number_of_threads() - threads_before + 1);
}

std::vector<std::string> LiteRTEngine::delegates() const {
  if (model_->is_fully_delegated() || is_partly_delegated(environment_, artifact_)) {
    return {"XNNPACK"};
  }
  return {};
}

void LiteRTEngine::set_inputs(const std::vector<Array>& inputs) {
  if (!are_inputs_checked_) check_inputs(inputs, model_->input_types());
  are_inputs_checked_ = true;
  for (std::size_t i = 0; i < inputs.size(); ++i) model_->write(i, inputs[i].bytes);
}

std::string LiteRTEngine::profile(int count, const std::vector<Array>& inputs,
                                  const std::string& trace) {
  if (!is_profiled_) throw Unsupported("the model was not loaded for profiling");
  LiteRTProfiler profiler(model_->handle());
  std::string lines;
  for (int run = 0; run < count; ++run) {
    set_inputs(inputs);
    profiler.start();
    model_->run();
    lines += to_lines(run, profiler.stop());
  }
  write_file(trace, lines.data(), lines.size());
  return "litert";
}

}  // namespace lightmobile
