#include "request.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace lightmobile {

namespace {

using nlohmann::json;

constexpr int kMostCount = 1'000'000;
constexpr int kMostCores = 4096;
constexpr int kDeepest = 200;  // as for the Python runners

[[noreturn]] void refuse(const std::string& key, const std::string& why) {
  throw ProtocolError(key + ": " + why);
}

// The value of `key`, or none where it is missing or null.
const json* find(const json& message, const std::string& key) {
  const auto found = message.find(key);
  return found == message.end() || found->is_null() ? nullptr : &*found;
}

const json& require(const json& message, const std::string& key) {
  const json* found = find(message, key);
  if (found == nullptr) refuse(key, "is required");
  return *found;
}

std::int64_t integer(const json& value, const std::string& key, std::int64_t low,
                     std::int64_t high) {
  if (!value.is_number_integer()) refuse(key, "is no integer");
  const bool is_huge = value.is_number_unsigned() &&
                       value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max();
  const std::int64_t number = is_huge ? high : value.get<std::int64_t>();
  if (is_huge || number < low || number > high) {
    refuse(key, "is not between " + std::to_string(low) + " and " + std::to_string(high));
  }
  return number;
}

int small(const json& value, const std::string& key, int low, int high) {
  return static_cast<int>(integer(value, key, low, high));
}

std::string text(const json& value, const std::string& key) {
  if (!value.is_string()) refuse(key, "is no string");
  std::string found = value.get<std::string>();
  // A path would end there.
  if (found.find('\0') != std::string::npos) refuse(key, "holds a zero byte");
  return found;
}

const json& list(const json& value, const std::string& key) {
  if (!value.is_array()) refuse(key, "is no list");
  return value;
}

Input parse_input(const json& value) {
  if (!value.is_object()) refuse("inputs", "holds no object");
  Input input;
  for (const json& length : list(require(value, "shape"), "shape")) {
    input.type.shape.push_back(
        integer(length, "shape", 1, std::numeric_limits<std::int64_t>::max()));
  }
  const json* dtype = find(value, "dtype");
  input.type.dtype = dtype == nullptr ? "float32" : text(*dtype, "dtype");
  input.file = text(require(value, "file"), "file");
  return input;
}

bool parse_record(const json& message) {
  const json* value = find(message, "record");
  const std::string record = value == nullptr ? "latency" : text(*value, "record");
  if (record != "latency" && record != "memory" && record != "profile") {
    refuse("record", "is not latency, memory or profile");
  }
  return record == "profile";
}

Load parse_load(const json& message) {
  Load load;
  load.artifact = text(require(message, "artifact"), "artifact");
  if (const json* threads = find(message, "threads")) {
    load.threads = small(*threads, "threads", 1, kMostCount);
  }
  if (const json* cores = find(message, "cores")) {
    load.cores.emplace();
    for (const json& core : list(*cores, "cores")) {
      load.cores->push_back(small(core, "cores", 0, kMostCores - 1));
    }
  }
  const json* compute = find(message, "compute");
  load.compute = compute == nullptr ? "cpu" : text(*compute, "compute");
  for (const json& input : list(require(message, "inputs"), "inputs")) {
    load.inputs.push_back(parse_input(input));
  }
  load.profile = parse_record(message);
  return load;
}

Run parse_run(const json& message) {
  const json* warm_up = find(message, "warm_up");
  return {small(require(message, "count"), "count", 1, kMostCount),
          warm_up == nullptr ? 0 : small(*warm_up, "warm_up", 0, kMostCount)};
}

json parse_object(const std::string& line) {
  try {
    json message = json::parse(line, [](int depth, json::parse_event_t, const json&) {
      if (depth > kDeepest) throw ProtocolError("the line is nested too deep");
      return true;
    });
    if (message.is_object()) return message;
  } catch (const json::exception& error) {
    throw ProtocolError(error.what());
  }
  throw ProtocolError("the line holds no object");
}

}  // namespace

Request parse_request(const std::string& line) {
  const json message = parse_object(line);
  if (const json* protocol = find(message, "protocol")) {
    small(*protocol, "protocol", kProtocol, kProtocol);
  }
  const std::string op = text(require(message, "op"), "op");
  if (op == Hello::kOp) return Hello{};
  if (op == Load::kOp) return parse_load(message);
  if (op == Run::kOp) return parse_run(message);
  if (op == GetMemory::kOp) return GetMemory{};
  if (op == Profile::kOp) {
    return Profile{small(require(message, "count"), "count", 1, kMostCount),
                   text(require(message, "trace"), "trace")};
  }
  if (op == GetOutputs::kOp) return GetOutputs{text(require(message, "folder"), "folder")};
  if (op == Close::kOp) return Close{};
  refuse("op", "there is no request '" + op + "'");
}

std::string op_of(const Request& request) {
  return std::visit([](const auto& each) { return std::string(each.kOp); }, request);
}

}  // namespace lightmobile
