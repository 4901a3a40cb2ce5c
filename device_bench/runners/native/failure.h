// Why a request is not carried out: what a runner answers as `Failed`.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace lightmobile {

class Failure : public std::runtime_error {
 public:
  Failure(std::string code, const std::string& error)
      : std::runtime_error(error), code_(std::move(code)) {}

  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

// The runtime cannot do what was asked for.
class Unsupported : public Failure {
 public:
  explicit Unsupported(const std::string& error) : Failure("unsupported", error) {}
};

// The request does not fit the artifact, or the moment.
class Usage : public Failure {
 public:
  explicit Usage(const std::string& error) : Failure("usage", error) {}
};

// The system refused; call it while errno still says why.
class SystemFailure : public Failure {
 public:
  explicit SystemFailure(const std::string& what);
};

// The runtime is not there.
class ImportFailure : public Failure {
 public:
  explicit ImportFailure(const std::string& error) : Failure("ImportError", error) {}
};

// The runtime failed, in its own words.
class RuntimeFailure : public Failure {
 public:
  explicit RuntimeFailure(const std::string& error) : Failure("RuntimeError", error) {}
};

}  // namespace lightmobile
