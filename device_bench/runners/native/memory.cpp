#include "memory.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "files.h"

namespace lightmobile {

namespace {

std::optional<std::int64_t> status_bytes(const std::string& key) {
  const std::string status = read_text("/proc/self/status");
  const std::size_t start = status.find("\n" + key + ":");
  if (start == std::string::npos) return std::nullopt;
  return std::strtoll(status.c_str() + start + key.size() + 2, nullptr, 10) * 1024;
}

}  // namespace

std::optional<std::int64_t> resident_bytes() { return status_bytes("VmRSS"); }

std::optional<std::int64_t> peak_bytes() { return status_bytes("VmHWM"); }

void restart_peak() {
  // proc_pid_clear_refs(5). Some systems forbid it; the peak then includes the program's start.
  std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace lightmobile
