// The loop of requests and replies that every native runner shares.
#pragma once

#include <functional>
#include <memory>

#include "engine.h"

namespace lightmobile {

using MakeEngine = std::function<std::unique_ptr<Engine>()>;

// Answer the requests on standard input until it ends, or one says `close`; return the exit
// status. Standard output carries replies only: what native code prints there goes to standard
// error.
int serve(const MakeEngine& make_engine);

}  // namespace lightmobile
