// Lines from a file descriptor, of bounded length.
#pragma once

#include <cstddef>
#include <string>

namespace lightmobile {

class Lines {
 public:
  enum class State { kLine, kTooLong, kEnd };

  Lines(int descriptor, std::size_t longest) : descriptor_(descriptor), longest_(longest) {}

  // Put the next line into `line`, without its line break. One that is too long is passed over,
  // and none of it is kept. The last may lack its line break.
  State next(std::string& line);

 private:
  bool fill();

  int descriptor_;
  std::size_t longest_;
  std::string buffer_;
};

// Write `line` and its line break; return whether anyone can still read it.
bool write_line(int descriptor, std::string line);

}  // namespace lightmobile
