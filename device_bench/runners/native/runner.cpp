#include "runner.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <new>

#include "cores.h"
#include "digest.h"
#include "failure.h"
#include "files.h"
#include "memory.h"

namespace lightmobile {

namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

json reply() { return {{"protocol", kProtocol}, {"ok", true}}; }

std::int64_t nanoseconds_since(Clock::time_point start) {
  const auto passed = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start);
  return std::max<std::int64_t>(1, passed.count());
}

}  // namespace

json failed(const std::string& stage, const std::string& code, const std::string& error) {
  return {{"protocol", kProtocol},
          {"ok", false},
          {"stage", stage},
          {"code", code},
          {"error", error.empty() ? code : error}};
}

Runner::Runner(const MakeEngine& make_engine) {
  try {
    engine_ = make_engine();
  } catch (const ImportFailure& error) {
    import_error_ = error.what();
  }
}

json Runner::answer(const Request& request) {
  const bool is_close = std::holds_alternative<Close>(request);
  if (engine_ == nullptr && !is_close) return failed("import", "ImportError", import_error_);
  const std::string stage = op_of(request);
  try {
    return std::visit([this](const auto& each) { return carry_out(each); }, request);
  } catch (const Failure& error) {
    return failed(stage, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return failed(stage, "MemoryError", "there is not enough memory");
  } catch (const std::exception& error) {
    return failed(stage, "RuntimeError", error.what());
  }
}

json Runner::carry_out(const Hello&) {
  json answer = reply();
  answer["runtime"] = engine_->runtime();
  answer["pid"] = getpid();
  answer["versions"] = engine_->versions();
  answer["computes"] = {"cpu"};
  answer["timed"] = engine_->timed();
  return answer;
}

json Runner::carry_out(const Load& request) {
  is_loaded_ = false;
  if (request.compute != "cpu") {
    throw Unsupported(engine_->runtime() + " has no compute unit '" + request.compute + "' here");
  }
  if (request.threads && *request.threads > number_of_cores()) {
    throw Usage(std::to_string(*request.threads) + " threads on " +
                std::to_string(number_of_cores()) + " cores");
  }
  check_file(request.artifact);
  const std::vector<int> cores = take_cores(request.cores);
  inputs_.clear();
  for (const Input& input : request.inputs) {
    inputs_.push_back({input.type, read_tensor(input.file, input.type)});
  }
  restart_peak();
  baseline_bytes_ = resident_bytes();
  const Clock::time_point start = Clock::now();
  engine_->load(request);
  const std::int64_t load_ns = nanoseconds_since(start);
  engine_->set_inputs(inputs_);
  json answer = reply();
  answer["threads"] = nullptr;
  if (const std::optional<int> threads = engine_->threads()) answer["threads"] = *threads;
  answer["cores"] = cores;
  answer["delegates"] = engine_->delegates();
  answer["load_ns"] = load_ns;
  is_loaded_ = true;
  return answer;
}

json Runner::carry_out(const Run& request) {
  require_loaded();
  json answer = reply();
  answer["warm_up_ns"] = time(request.warm_up);
  answer["samples_ns"] = time(request.count);
  answer["output_sha256"] = sha256_of(engine_->outputs());
  return answer;
}

json Runner::carry_out(const GetMemory&) {
  require_loaded();
  const std::optional<std::int64_t> peak = peak_bytes();
  if (!peak || !baseline_bytes_)
    throw Unsupported("this system does not tell a process its memory");
  json answer = reply();
  answer["peak_bytes"] = std::max(*peak, *baseline_bytes_);
  answer["baseline_bytes"] = *baseline_bytes_;
  return answer;
}

json Runner::carry_out(const Profile& request) {
  require_loaded();
  json answer = reply();
  answer["format"] = engine_->profile(request.count, inputs_, request.trace);
  return answer;
}

json Runner::carry_out(const GetOutputs& request) {
  require_loaded();
  json written = json::array();
  for (const Array& output : engine_->outputs()) {
    const std::string file = request.folder + "/output-" + std::to_string(written.size());
    write_file(file, output.bytes.data(), output.bytes.size());
    written.push_back({{"shape", output.type.shape}, {"dtype", output.type.dtype}, {"file", file}});
  }
  json answer = reply();
  answer["outputs"] = std::move(written);
  return answer;
}

json Runner::carry_out(const Close&) { return reply(); }

std::vector<std::int64_t> Runner::time(int count) {
  std::vector<std::int64_t> samples_ns;
  samples_ns.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    // A runtime may use the memory of an input again; each inference gets it afresh.
    engine_->set_inputs(inputs_);
    const Clock::time_point start = Clock::now();
    engine_->infer();
    samples_ns.push_back(nanoseconds_since(start));
  }
  return samples_ns;
}

void Runner::require_loaded() const {
  if (!is_loaded_) throw Usage("nothing is loaded");
}

}  // namespace lightmobile
