#include "cores.h"

#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <memory>

#include "failure.h"

namespace lightmobile {

namespace {

constexpr int kMostCores = 4096;  // as in the protocol

struct FreeSet {
  void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};

class CoreSet {
 public:
  CoreSet() : size_(CPU_ALLOC_SIZE(kMostCores)), set_(CPU_ALLOC(kMostCores)) {
    CPU_ZERO_S(size_, set_.get());
  }

  void add(int core) { CPU_SET_S(static_cast<std::size_t>(core), size_, set_.get()); }
  bool has(int core) const {
    return CPU_ISSET_S(static_cast<std::size_t>(core), size_, set_.get());
  }
  bool apply() const { return sched_setaffinity(0, size_, set_.get()) == 0; }
  bool read() { return sched_getaffinity(0, size_, set_.get()) == 0; }

 private:
  std::size_t size_;
  std::unique_ptr<cpu_set_t, FreeSet> set_;
};

}  // namespace

int number_of_cores() { return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)); }

int number_of_threads() {
  std::error_code error;
  const std::filesystem::directory_iterator tasks("/proc/self/task", error);
  return error ? 0 : static_cast<int>(std::distance(tasks, {}));
}

std::vector<int> take_cores(const std::optional<std::vector<int>>& cores) {
  if (cores) {
    CoreSet wanted;
    for (const int core : *cores) wanted.add(core);
    if (!wanted.apply()) throw SystemFailure("the cores were not taken");
  }
  CoreSet given;
  if (!given.read()) throw SystemFailure("the cores cannot be told");
  std::vector<int> found;
  for (int core = 0; core < kMostCores; ++core) {
    if (given.has(core)) found.push_back(core);
  }
  return found;
}

}  // namespace lightmobile
