// The requests of the protocol; device_bench/protocol.py is what says how they look.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "tensor.h"

namespace lightmobile {

constexpr int kProtocol = 1;

struct Input {
  TensorType type;
  std::string file;
};

struct Hello {
  static constexpr const char* kOp = "hello";
};

struct Load {
  static constexpr const char* kOp = "load";
  std::string artifact;
  std::optional<int> threads;
  std::optional<std::vector<int>> cores;
  std::string compute;
  std::vector<Input> inputs;
  bool profile;
};

struct Run {
  static constexpr const char* kOp = "run";
  int count;
  int warm_up;
};

struct GetMemory {
  static constexpr const char* kOp = "memory";
};

struct Profile {
  static constexpr const char* kOp = "profile";
  int count;
  std::string trace;
};

struct GetOutputs {
  static constexpr const char* kOp = "outputs";
  std::string folder;
};

struct Close {
  static constexpr const char* kOp = "close";
};

using Request = std::variant<Hello, Load, Run, GetMemory, Profile, GetOutputs, Close>;

// A line is no request of this protocol.
class ProtocolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

Request parse_request(const std::string& line);

std::string op_of(const Request& request);

}  // namespace lightmobile
