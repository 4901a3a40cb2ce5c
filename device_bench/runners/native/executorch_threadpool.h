// The part of ExecuTorch's thread pool that its wheel exports and has no header for; of version
// EXECUTORCH_VERSION, which this runner is built for and shipped with.
#pragma once

#include <cstddef>
#include <cstdint>

namespace executorch::extension::threadpool {

class ThreadPool {
 public:
  std::size_t get_thread_count() const;

  // Unsafe while a program is loaded: its delegates hold the pool of their day.
  bool _unsafe_reset_threadpool(std::uint32_t count);
};

ThreadPool* get_threadpool();

}  // namespace executorch::extension::threadpool
