// One artifact in one runtime: what a runner needs to know of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "request.h"
#include "tensor.h"

namespace lightmobile {

// Its methods throw Failure. Only `infer` is timed.
class Engine {
 public:
  Engine() = default;
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  virtual std::string runtime() const = 0;
  virtual std::map<std::string, std::string> versions() const = 0;

  // What lies inside the timed region.
  virtual std::string timed() const = 0;

  // Make the artifact ready for inference; again, after a load that failed.
  virtual void load(const Load& request) = 0;

  // Threads in use, where they can be read back; after load.
  virtual std::optional<int> threads() const = 0;

  virtual std::vector<std::string> delegates() const = 0;

  // Hand over the inputs of the next inference, which outlive it.
  virtual void set_inputs(const std::vector<Array>& inputs) = 0;

  virtual void infer() = 0;

  // What the last inference computed.
  virtual std::vector<Array> outputs() const = 0;

  // Run inferences, write the times of their operators into the file
  // `trace`, and return its format.
  virtual std::string profile(int count, const std::vector<Array>& inputs,
                              const std::string& trace) = 0;
};

// Throws Usage unless `inputs` are of the types that the artifact takes.
void check_inputs(const std::vector<Array>& inputs, const std::vector<TensorType>& expected);

}  // namespace lightmobile
