#include "serve.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "lines.h"
#include "request.h"
#include "runner.h"

namespace lightmobile {

namespace {

// A request is some hundred bytes, and a path for each input.
constexpr std::size_t kLongestLine = 16 << 20;

int claim_stdout() {
  std::fflush(stdout);
  const int replies = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  return replies;
}

// A path that is no UTF-8 may be in an error; it must not keep the answer from being sent.
std::string to_line(const nlohmann::json& message) {
  return message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

int serve(const MakeEngine& make_engine) {
  // A reader that is gone is told by the write itself.
  std::signal(SIGPIPE, SIG_IGN);
  const int replies = claim_stdout();
  Runner runner(make_engine);
  Lines lines(STDIN_FILENO, kLongestLine);
  std::string line;
  for (auto state = lines.next(line); state != Lines::State::kEnd; state = lines.next(line)) {
    nlohmann::json answer;
    bool is_last = false;
    try {
      if (state == Lines::State::kTooLong) throw ProtocolError("the line is too long");
      const Request request = parse_request(line);
      is_last = std::holds_alternative<Close>(request);
      answer = runner.answer(request);
    } catch (const ProtocolError& error) {
      answer = failed("protocol", "usage", error.what());
    }
    if (!write_line(replies, to_line(answer))) return 1;
    // Everything is answered; runtimes need not tidy up.
    if (is_last) _exit(0);
  }
  return 0;
}

}  // namespace lightmobile
