#include "files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "failure.h"

namespace lightmobile {

namespace {

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : number_(open(path.c_str(), flags, 0644)) {
    if (number_ < 0) throw SystemFailure(path);
  }
  ~Descriptor() { close(number_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }

 private:
  int number_;
};

// A pipe is opened at once, and told from a file.
constexpr int kRead = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

std::size_t size_of_file(const Descriptor& file, const std::string& path) {
  struct stat status {};
  if (fstat(file.number(), &status) != 0) throw SystemFailure(path);
  if (!S_ISREG(status.st_mode)) throw Usage(path + " is no file");
  return static_cast<std::size_t>(status.st_size);
}

}  // namespace

void check_file(const std::string& path) { size_of_file(Descriptor(path, kRead), path); }

Bytes read_tensor(const std::string& path, const TensorType& type) {
  const std::size_t size = size_of(type);
  const Descriptor file(path, kRead);
  const std::size_t found = size_of_file(file, path);
  if (found != size) {
    throw Usage("an input of " + describe(type) + " has " + std::to_string(size) +
                " bytes, and its file " + std::to_string(found));
  }
  Bytes bytes(size);
  for (std::size_t done = 0; done < size;) {
    const ssize_t count = read(file.number(), bytes.data() + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw SystemFailure(path);
    if (count == 0) throw Usage(path + " became shorter while it was read");
    done += static_cast<std::size_t>(count);
  }
  return bytes;
}

void write_file(const std::string& path, const void* data, std::size_t size) {
  const Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK);
  const char* bytes = static_cast<const char*>(data);
  for (std::size_t done = 0; done < size;) {
    const ssize_t count = write(file.number(), bytes + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw SystemFailure(path);
    done += static_cast<std::size_t>(count);
  }
}

std::string read_text(const std::string& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace lightmobile
