// The errors that every module throws, and the exit codes they end in.
// A message says who, what was expected and found (core/message.h), and what to do next. Libraries throw; run_program()
// in core/cli/command.h logs the message and returns the exit code.
#pragma once

#include <stdexcept>
#include <string>

namespace nkat {

enum class ExitCode {
  kDone = 0,
  kInternal = 1,      // a bug in nkat
  kUsage = 2,         // a wrong flag, value or combination, or an option that must not change on resume
  kInput = 3,         // a path that is missing, unreadable, malformed or doesn't match
  kMachine = 4,       // memory, device, disk, or a folder locked by another process
  kCheckFailed = 5,   // self-test, required verdict, third non-finite step in a row
  kInterrupted = 75,  // stopped by a signal with everything saved
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode exit_code, const std::string& message) : std::runtime_error(message), exit_code_(exit_code) {}
  ExitCode exit_code() const noexcept { return exit_code_; }

 private:
  ExitCode exit_code_;
};

template <ExitCode kCode>
class ErrorOf : public Error {
 public:
  explicit ErrorOf(const std::string& message) : Error(kCode, message) {}
};

// Each is a type of its own, so that a caller can catch one kind and let the others pass.
class ConfigError : public ErrorOf<ExitCode::kUsage> {
  using ErrorOf::ErrorOf;
};
class DataError : public ErrorOf<ExitCode::kInput> {  // a path, or file:line, that can't be used
  using ErrorOf::ErrorOf;
};
class FormatError : public ErrorOf<ExitCode::kInput> {  // a file that breaks its format: key or tensor, limit
  using ErrorOf::ErrorOf;
};
class NewerFormatError : public FormatError {  // a newer nkat's file: sound, so not to be passed over as damaged
  using FormatError::FormatError;
};
class ShapeError : public ErrorOf<ExitCode::kInput> {  // a tensor of another shape than the config asks for
  using ErrorOf::ErrorOf;
};
class DeviceError : public ErrorOf<ExitCode::kMachine> {
  using ErrorOf::ErrorOf;
};
class CheckError : public ErrorOf<ExitCode::kCheckFailed> {
  using ErrorOf::ErrorOf;
};
class Interrupted : public ErrorOf<ExitCode::kInterrupted> {
  using ErrorOf::ErrorOf;
};
class InternalError : public ErrorOf<ExitCode::kInternal> {
  using ErrorOf::ErrorOf;
};

[[noreturn]] void fail_invariant(const char* condition, const char* file, int line);

// For bugs only; input is checked with the exceptions above.
#define NKAT_INVARIANT(condition) \
  ((condition) ? static_cast<void>(0) : ::nkat::fail_invariant(#condition, __FILE__, __LINE__))

}  // namespace nkat
