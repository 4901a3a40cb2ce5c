// A model that LiteRT has compiled for the CPU, with the memory of its inputs and outputs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "litert_api.h"
#include "tensor.h"

namespace lightmobile {

// Throws RuntimeFailure unless `status` is fine.
void check_litert(LiteRtStatus status, const std::string& what);

class LiteRTModel {
 public:
  LiteRTModel(LiteRtHandle environment, const std::string& path, std::optional<int> threads,
              bool profile);

  // In the order of the model's subgraph, as its Python interpreter has them.
  std::vector<TensorType> input_types() const;

  bool is_fully_delegated() const;
  void write(std::size_t input, const Bytes& bytes);
  void run();
  std::vector<Array> outputs() const;
  LiteRtHandle handle() const { return compiled_.get(); }

 private:
  using Destroy = void (*)(LiteRtHandle);
  using Owned = std::unique_ptr<void, Destroy>;

  // The tensors at one end of the model.
  struct Border {
    void add(LiteRtHandle environment, LiteRtHandle tensor, LiteRtHandle requirements);

    std::vector<Owned> buffers;  // in the order of the signature, as the next three
    std::vector<LiteRtHandle> handles;
    std::vector<LiteRtHandle> tensors;
    std::vector<TensorType> types;
    std::vector<std::size_t> order;  // where the subgraph's tensors are among them
  };

  void compile(LiteRtHandle environment, std::optional<int> threads, bool profile);
  void make_inputs(LiteRtHandle environment, LiteRtHandle signature, LiteRtHandle subgraph);
  void make_outputs(LiteRtHandle environment, LiteRtHandle signature, LiteRtHandle subgraph);

  // What needs another comes after it, and is destroyed before it.
  Owned model_;
  Owned options_;
  Owned compiled_;
  Border inputs_;
  Border outputs_;
};

}  // namespace lightmobile
