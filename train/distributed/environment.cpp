#include "train/distributed/environment.h"

#include <charconv>
#include <cstdlib>

#include "core/error.h"
#include "core/message.h"
#include "models/device.h"

namespace nkat::train {
namespace {

constexpr int kMostRanks = 65536;

struct Range {
  int first;
  int last;
};

[[noreturn]] void refuse(const char* name, const std::string& wanted, const char* found) {
  throw ConfigError(fmt::format(
      "{}: {}", name,
      expected(wanted + " since RANK is set", found == nullptr ? "nothing" : fmt::format("'{}'", found),
               "start ranks with `torchrun --no-python --nproc-per-node N nkat train ...`, or unset RANK to train in "
               "one process")));
}

int number(const char* name, Range range, std::optional<int> otherwise = std::nullopt) {
  const char* text = std::getenv(name);
  if (text == nullptr && otherwise) return *otherwise;
  const std::string_view digits = text == nullptr ? "" : text;
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = !digits.empty() && error == std::errc() && end == digits.data() + digits.size();
  if (!whole || value < range.first || value > range.last)
    refuse(name, fmt::format("a number from {} to {}", range.first, range.last), text);
  return value;
}

}  // namespace

std::optional<RankEnvironment> rank_environment() {
  if (std::getenv("RANK") == nullptr) return std::nullopt;
  RankEnvironment environment;
  environment.size = number("WORLD_SIZE", {1, kMostRanks});
  environment.rank = number("RANK", {0, environment.size - 1});
  environment.local_size = number("LOCAL_WORLD_SIZE", {1, environment.size});
  environment.local_rank = number("LOCAL_RANK", {0, environment.local_size - 1});
  const std::optional<int> only_machine = environment.one_machine() ? std::optional(0) : std::nullopt;
  environment.machine = number("GROUP_RANK", {0, environment.size - 1}, only_machine);
  environment.port = static_cast<std::uint16_t>(number("MASTER_PORT", {1, 65535}));
  const char* address = std::getenv("MASTER_ADDR");
  if (address == nullptr || *address == '\0') refuse("MASTER_ADDR", "a host name or address", address);
  environment.address = address;
  const char* agent = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
  environment.store_is_there = agent != nullptr && std::string_view(agent) == "True";
  return environment;
}

std::string rank_device(const std::string& asked, const RankEnvironment& environment) {
  if (environment.size == 1) return asked;
  if (asked == "auto") {
    const bool gpus = models::resolve_device("auto").is_cuda();
    return gpus ? fmt::format("cuda:{}", environment.local_rank) : "cpu";
  }
  if (asked != "cpu" && environment.local_size > 1) {
    throw ConfigError("--device: " +
                      expected(fmt::format("a device for each of the {} ranks of this machine", environment.local_size),
                               "'" + asked + "' for all", "use --device auto or cpu"));
  }
  return asked;
}

}  // namespace nkat::train
