// Runs `.tflite` models.
#include "litert_engine.h"
#include "serve.h"

int main() {
  return lightmobile::serve([] { return std::make_unique<lightmobile::LiteRTEngine>(); });
}
