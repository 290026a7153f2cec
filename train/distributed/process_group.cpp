#include "train/distributed/process_group.h"

#include <cstdlib>
#include <numeric>

// LibTorch is built with Gloo; its header asks to be told.
#define USE_C10D_GLOO
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "layers/kernels/nccl_group.h"
#include "train/distributed/packed_integers.h"
#include "train/distributed/rendezvous.h"

namespace nkat::train {
namespace {

constexpr std::chrono::seconds kConnectWithin{60};

std::string first_line(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  const std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

// Runs what talks through the store.
template <class Talk>
auto tell(const RankEnvironment& environment, const Talk& talk) -> decltype(talk()) {
  try {
    return talk();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw DeviceError(fmt::format(
        "{}, which keeps what the ranks tell each other at {}:{}, is gone ({}). Its own message says why; the same "
        "command goes on from the newest checkpoint",
        environment.store_is_there ? "torchrun" : "rank 0", environment.address, environment.port, first_line(error)));
  }
}

StorePointer open_store(const RankEnvironment& environment) {
  c10d::TCPStoreOptions options;
  options.port = environment.port;
  options.isServer = environment.rank == 0 && !environment.store_is_there;
  options.numWorkers = static_cast<std::size_t>(environment.size);
  options.waitWorkers = false;
  options.timeout = kConnectWithin;
  try {
    return c10::make_intrusive<c10d::PrefixStore>("nkat",
                                                  c10::make_intrusive<c10d::TCPStore>(environment.address, options));
  } catch (const std::exception& error) {
    const std::string where =
        fmt::format("MASTER_ADDR {}, MASTER_PORT {} ({})", environment.address, environment.port, first_line(error));
    throw DeviceError(
        options.isServer
            ? fmt::format("the ranks can't meet at {}; use a port that nothing else listens on", where)
            : fmt::format("no rank and no torchrun answers at {}; check both, and that rank 0 was started", where));
  }
}

c10::intrusive_ptr<c10d::Backend> open_gloo(const StorePointer& store, const RankEnvironment& environment,
                                            std::chrono::seconds timeout) {
  using Gloo = c10d::ProcessGroupGloo;
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  auto options = Gloo::Options::create(timeout);
  options->devices.push_back(interface != nullptr        ? Gloo::createDeviceForInterface(interface)
                             : environment.one_machine() ? Gloo::createDeviceForHostname("127.0.0.1")
                                                         : Gloo::createDefaultDevice());
  options->threads = 1;
  return c10::make_intrusive<Gloo>(store, environment.rank, environment.size, options);
}

}  // namespace

struct ProcessGroup::Connection {
  Rendezvous roll;
  c10::intrusive_ptr<c10d::Backend> group = {};
  at::Device device{at::kCPU};
  std::int64_t texts = 0;  // passed on so far

  // Runs what talks through the process group.
  template <class Talk>
  auto talk(const ProcessGroup& ranks, const Talk& talk) -> decltype(talk()) {
    try {
      return talk();
    } catch (const std::exception& error) {
      // Its threads still wait for the ranks that are left, and taking it down would wait for them.
      if (group) static_cast<void>(group.release());
      throw DeviceError(fmt::format(
          "one of the {} ranks is gone, or has not answered for {} s ({}). Its own message says why; the same command "
          "goes on from the newest checkpoint (see --rank-timeout if it was only slow)",
          ranks.size(), ranks.timeout_.count(), first_line(error)));
    }
  }
};

ProcessGroup::ProcessGroup() = default;
ProcessGroup::~ProcessGroup() = default;

ProcessGroup::ProcessGroup(const RankEnvironment& environment, std::chrono::seconds timeout)
    : environment_(environment), timeout_(timeout) {
  if (size() == 1) return;
  // c10d prints a backtrace to every error that it also throws; a value of the user's own stays.
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
  Rendezvous::Timeouts patience;
  patience.silent_seconds = std::min(patience.silent_seconds, static_cast<int>(timeout.count()));
  const StorePointer store = open_store(environment_);
  connection_ = std::unique_ptr<Connection>(
      new Connection{tell(environment_, [&] { return Rendezvous(store, rank(), size(), patience); })});
}

std::vector<std::string> ProcessGroup::from_ranks(const std::string& text, const std::vector<int>& ranks) {
  if (!connection_) return {text};
  const std::string name = fmt::format("text/{}", connection_->texts++);
  std::vector<std::string> keys;
  for (const int rank : ranks) keys.push_back(fmt::format("{}/{}", name, rank));
  return tell(environment_, [&] {
    if (std::find(ranks.begin(), ranks.end(), rank()) != ranks.end())
      connection_->roll.post(fmt::format("{}/{}", name, rank()), text);
    return connection_->roll.wait_for(keys);
  });
}

std::string ProcessGroup::broadcast(const std::string& text) { return from_ranks(text, {0}).front(); }

std::vector<std::string> ProcessGroup::all_gather(const std::string& text) {
  std::vector<int> all(static_cast<std::size_t>(size()));
  std::iota(all.begin(), all.end(), 0);
  return from_ranks(text, all);
}

void ProcessGroup::wait_for_local_leader() {
  if (!connection_ || environment_.local_rank == 0) return;
  tell(environment_, [&] { connection_->roll.wait_for({fmt::format("prepared/{}", environment_.machine)}); });
}

void ProcessGroup::release_local_ranks() {
  if (!connection_ || environment_.local_rank != 0) return;
  tell(environment_, [&] { connection_->roll.post(fmt::format("prepared/{}", environment_.machine), ""); });
}

void ProcessGroup::open_group(at::Device device) {
  if (!connection_) return;
  // Loading takes one rank longer than another; the group's timeout is for steps.
  all_gather("");
  connection_->device = device;
  connection_->talk(*this, [&] {
    const auto store = c10::make_intrusive<c10d::PrefixStore>("group", connection_->roll.store());
    connection_->group = device.is_cuda() ? layers::make_nccl_group(store, rank(), size(), timeout_)
                                          : open_gloo(store, environment_, timeout_);
  });
}

void ProcessGroup::sum(const at::Tensor& message) {
  if (!connection_) return;
  NKAT_INVARIANT(connection_->group && message.is_contiguous() && message.device() == connection_->device);
  std::vector<at::Tensor> tensors{message};
  connection_->talk(*this, [&] { connection_->group->allreduce(tensors)->wait(); });
}

void ProcessGroup::broadcast(const at::Tensor& tensor) {
  if (!connection_) return;
  NKAT_INVARIANT(connection_->group && tensor.is_contiguous());
  std::vector<at::Tensor> tensors{tensor.to(connection_->device)};
  connection_->talk(*this, [&] { connection_->group->broadcast(tensors)->wait(); });
  if (!tensors[0].is_same(tensor)) tensor.copy_(tensors[0]);
}

std::vector<std::vector<std::uint64_t>> ProcessGroup::gather(const std::vector<std::uint64_t>& words) {
  if (!connection_) return {words};
  const at::Tensor slots = at::zeros({packed_floats(size(), words.size())}, at::kFloat);
  pack_integers(slots, rank(), words);
  const at::Tensor message = slots.to(connection_->device);
  sum(message);
  return unpack_integers(message.cpu(), size());
}

void ProcessGroup::shutdown() {
  if (!connection_) return;
  // First, since who keeps the store may be gone as soon as all have met.
  tell(environment_, [&] { connection_->roll.leave(); });
  if (connection_->group) {
    gather({0});
    return;
  }
  // Only who may keep the store has to stay: it is gone with its process.
  tell(environment_, [&] {
    connection_->roll.post(fmt::format("left/{}", rank()), "");
    if (rank() != 0) return;
    connection_->roll.wait_for(connection_->roll.keys("left"));
  });
}

}  // namespace nkat::train
