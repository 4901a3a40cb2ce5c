// The part of LiteRT's C API that this runner uses. The wheel has the library and no headers: these
// declarations follow the public ones, and fit LITERT_VERSION, which the runner is shipped with.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

using LiteRtStatus = int;  // 0: fine
using LiteRtHandle = void*;

struct LiteRtLayout {
  unsigned int rank : 7;
  unsigned int has_strides : 1;
  std::int32_t dimensions[8];
  std::uint32_t strides[8];
};

struct LiteRtRankedTensorType {
  int element_type;
  LiteRtLayout layout;
};
static_assert(sizeof(LiteRtRankedTensorType) == 72);

struct LiteRtMemoryUsage {
  std::size_t bytes[3];
};

struct LiteRtProfiledEvent {
  const char* tag;
  int type;
  std::uint64_t start_us;
  std::uint64_t duration_us;
  LiteRtMemoryUsage begin_memory;
  LiteRtMemoryUsage end_memory;
  std::uint64_t metadata[2];
  int source;
};
static_assert(sizeof(LiteRtProfiledEvent) == 104);

constexpr int kLiteRtHardwareCpu = 1;
constexpr int kLiteRtLockRead = 0;
constexpr int kLiteRtLockWrite = 1;

LiteRtStatus LiteRtCreateEnvironment(int count, const void* options, LiteRtHandle* environment);

LiteRtStatus LiteRtCreateModelFromFile(LiteRtHandle environment, const char* path,
                                       LiteRtHandle* model);
void LiteRtDestroyModel(LiteRtHandle model);
LiteRtStatus LiteRtGetMainModelSubgraphIndex(LiteRtHandle model, std::size_t* index);
LiteRtStatus LiteRtGetModelSubgraph(LiteRtHandle model, std::size_t index, LiteRtHandle* subgraph);
LiteRtStatus LiteRtGetNumSubgraphInputs(LiteRtHandle subgraph, std::size_t* count);
LiteRtStatus LiteRtGetNumSubgraphOutputs(LiteRtHandle subgraph, std::size_t* count);
LiteRtStatus LiteRtGetSubgraphInput(LiteRtHandle subgraph, std::size_t index, LiteRtHandle* tensor);
LiteRtStatus LiteRtGetSubgraphOutput(LiteRtHandle subgraph, std::size_t index,
                                     LiteRtHandle* tensor);
LiteRtStatus LiteRtGetModelSignature(LiteRtHandle model, std::size_t index,
                                     LiteRtHandle* signature);
LiteRtStatus LiteRtGetSignatureSubgraph(LiteRtHandle signature, LiteRtHandle* subgraph);
LiteRtStatus LiteRtGetNumSignatureInputs(LiteRtHandle signature, std::size_t* count);
LiteRtStatus LiteRtGetNumSignatureOutputs(LiteRtHandle signature, std::size_t* count);
LiteRtStatus LiteRtGetSignatureInputTensorByIndex(LiteRtHandle signature, std::size_t index,
                                                  LiteRtHandle* tensor);
LiteRtStatus LiteRtGetSignatureOutputTensorByIndex(LiteRtHandle signature, std::size_t index,
                                                   LiteRtHandle* tensor);
LiteRtStatus LiteRtGetRankedTensorType(LiteRtHandle tensor, LiteRtRankedTensorType* type);

LiteRtStatus LiteRtCreateOptions(LiteRtHandle* options);
void LiteRtDestroyOptions(LiteRtHandle options);
LiteRtStatus LiteRtSetOptionsHardwareAccelerators(LiteRtHandle options, int accelerators);
// `payload` is text in TOML, which `destroy` frees.
LiteRtStatus LiteRtCreateOpaqueOptions(const char* name, void* payload, void (*destroy)(void*),
                                       LiteRtHandle* opaque);
LiteRtStatus LiteRtAddOpaqueOptions(LiteRtHandle options, LiteRtHandle opaque);

LiteRtStatus LiteRtCreateCompiledModel(LiteRtHandle environment, LiteRtHandle model,
                                       LiteRtHandle options, LiteRtHandle* compiled);
void LiteRtDestroyCompiledModel(LiteRtHandle compiled);
LiteRtStatus LiteRtCompiledModelIsFullyAccelerated(LiteRtHandle compiled, bool* is_full);
LiteRtStatus LiteRtGetCompiledModelInputBufferRequirements(LiteRtHandle compiled,
                                                           std::size_t signature, std::size_t index,
                                                           LiteRtHandle* requirements);
LiteRtStatus LiteRtGetCompiledModelOutputBufferRequirements(LiteRtHandle compiled,
                                                            std::size_t signature,
                                                            std::size_t index,
                                                            LiteRtHandle* requirements);
LiteRtStatus LiteRtRunCompiledModel(LiteRtHandle compiled, std::size_t signature,
                                    std::size_t input_count, LiteRtHandle* inputs,
                                    std::size_t output_count, LiteRtHandle* outputs);

LiteRtStatus LiteRtCreateManagedTensorBufferFromRequirements(LiteRtHandle environment,
                                                             const LiteRtRankedTensorType* type,
                                                             LiteRtHandle requirements,
                                                             LiteRtHandle* buffer);
void LiteRtDestroyTensorBuffer(LiteRtHandle buffer);
LiteRtStatus LiteRtGetTensorBufferPackedSize(LiteRtHandle buffer, std::size_t* size);
LiteRtStatus LiteRtLockTensorBuffer(LiteRtHandle buffer, void** address, int mode);
LiteRtStatus LiteRtUnlockTensorBuffer(LiteRtHandle buffer);

LiteRtStatus LiteRtCompiledModelGetProfiler(LiteRtHandle compiled, LiteRtHandle* profiler);
LiteRtStatus LiteRtStartProfiler(LiteRtHandle profiler);
LiteRtStatus LiteRtStopProfiler(LiteRtHandle profiler);
LiteRtStatus LiteRtResetProfiler(LiteRtHandle profiler);
LiteRtStatus LiteRtGetNumProfilerEvents(LiteRtHandle profiler, int* count);
LiteRtStatus LiteRtGetProfilerEvents(LiteRtHandle profiler, int count, LiteRtProfiledEvent* events);

}  // extern "C"
