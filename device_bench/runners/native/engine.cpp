#include "engine.h"

#include "failure.h"

namespace lightmobile {

void check_inputs(const std::vector<Array>& inputs, const std::vector<TensorType>& expected) {
  if (inputs.size() != expected.size()) {
    throw Usage("the artifact takes " + std::to_string(expected.size()) + " inputs, not " +
                std::to_string(inputs.size()));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!(inputs[i].type == expected[i])) {
      throw Usage("input " + std::to_string(i) + " of the artifact is " + describe(expected[i]) +
                  ", not " + describe(inputs[i].type));
    }
  }
}

}  // namespace lightmobile
