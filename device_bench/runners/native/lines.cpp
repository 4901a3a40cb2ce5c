#include "lines.h"

#include <unistd.h>

#include <array>
#include <cerrno>

namespace lightmobile {

bool Lines::fill() {
  std::array<char, 65536> chunk{};
  ssize_t count = 0;
  do {
    count = read(descriptor_, chunk.data(), chunk.size());
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return false;
  buffer_.append(chunk.data(), static_cast<std::size_t>(count));
  return true;
}

Lines::State Lines::next(std::string& line) {
  line.clear();
  bool is_too_long = false;
  bool is_open = true;
  while (true) {
    const std::size_t end = buffer_.find('\n');
    const bool is_whole = end != std::string::npos;
    const std::size_t length = is_whole ? end : buffer_.size();
    is_too_long = is_too_long || line.size() + length > longest_;
    if (is_too_long) {
      line.clear();
    } else {
      line.append(buffer_, 0, length);
    }
    buffer_.erase(0, is_whole ? end + 1 : length);
    if (is_whole) return is_too_long ? State::kTooLong : State::kLine;
    is_open = fill();
    if (!is_open) break;
  }
  if (is_too_long) return State::kTooLong;
  return line.empty() ? State::kEnd : State::kLine;
}

bool write_line(int descriptor, std::string line) {
  line += '\n';
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t count = write(descriptor, line.data() + done, line.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    done += static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace lightmobile
