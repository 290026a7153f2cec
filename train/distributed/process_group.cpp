#include "train/distributed/process_group.h"

#include <cstdlib>
#include <cstring>
#include <numeric>

// LibTorch is built with Gloo; its header asks to be told.
#define USE_C10D_GLOO
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "core/message.h"
#include "layers/kernels/nccl_group.h"
#include "train/distributed/rendezvous.h"

namespace nkat::train {
namespace {

constexpr std::chrono::seconds kConnectWithin{60};

std::string first_line_of(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return first_line(torch_error != nullptr ? torch_error->what_without_backtrace() : error.what());
}

// Calls what uses the store; its errors say who keeps it.
template <class Call>
auto with_store(const RankEnvironment& environment, const Call& call) -> decltype(call()) {
  try {
    return call();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw DeviceError(fmt::format(
        "{}, which keeps the ranks' key-value store at {}:{}, is gone ({}). Its own message says why; the same command "
        "goes on from the newest checkpoint",
        environment.store_is_there ? "torchrun" : "rank 0", environment.address, environment.port,
        first_line_of(error)));
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
        fmt::format("MASTER_ADDR {}, MASTER_PORT {} ({})", environment.address, environment.port, first_line_of(error));
    throw DeviceError(
        options.isServer
            ? fmt::format("the ranks' key-value store can't listen at {}; use a free port", where)
            : fmt::format("neither rank 0 nor torchrun answers at {}; check both, and that rank 0 was started", where));
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
  Rendezvous rendezvous;
  c10::intrusive_ptr<c10d::Backend> group = {};
  at::Device device{at::kCPU};
  std::int64_t exchanges = 0;  // so far; the key of each is new

  // Calls what uses the process group.
  template <class Call>
  auto with_group(const ProcessGroup& ranks, const Call& call) -> decltype(call()) {
    try {
      return call();
    } catch (const std::exception& error) {
      // Leaked: its threads still wait for the ranks that are left, and destroying it would wait for them.
      if (group) static_cast<void>(group.release());
      throw DeviceError(fmt::format(
          "one of the {} ranks is gone, or has not answered for {} s ({}). Its own message says why; the same command "
          "goes on from the newest checkpoint (see --rank-timeout if it was only slow)",
          ranks.size(), ranks.timeout_.count(), first_line_of(error)));
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
  Rendezvous::Timeouts timeouts;
  timeouts.silent_seconds = std::min(timeouts.silent_seconds, static_cast<int>(timeout.count()));
  const StorePointer store = open_store(environment_);
  connection_ = std::unique_ptr<Connection>(
      new Connection{with_store(environment_, [&] { return Rendezvous(store, rank(), size(), timeouts); })});
}

std::vector<std::string> ProcessGroup::exchange(const std::string& text, const std::vector<int>& from_ranks) {
  if (!connection_) return {text};
  const std::int64_t number = connection_->exchanges++;
  const auto key = [&](int rank) { return fmt::format("text/{}/{}", number, rank); };
  std::vector<std::string> keys;
  for (const int from : from_ranks) keys.push_back(key(from));
  return with_store(environment_, [&] {
    if (std::find(from_ranks.begin(), from_ranks.end(), rank()) != from_ranks.end())
      connection_->rendezvous.post(key(rank()), text);
    return connection_->rendezvous.wait_for(keys);
  });
}

std::string ProcessGroup::broadcast(const std::string& text) { return exchange(text, {0}).front(); }

std::string ProcessGroup::await_main(const std::string& text) {
  if (!connection_) return text;
  const std::string key = fmt::format("text/{}/0", connection_->exchanges++);
  return with_store(environment_, [&] {
    if (is_main()) connection_->rendezvous.post(key, text);
    return connection_->rendezvous.wait_for({key}, Rendezvous::Phase::kTraining).front();
  });
}

std::vector<std::string> ProcessGroup::all_gather(const std::string& text) {
  std::vector<int> all(static_cast<std::size_t>(size()));
  std::iota(all.begin(), all.end(), 0);
  return exchange(text, all);
}

void ProcessGroup::wait_for_local_leader() {
  if (!connection_ || environment_.local_rank == 0) return;
  with_store(environment_,
             [&] { return connection_->rendezvous.wait_for({fmt::format("prepared/{}", environment_.machine)}); });
}

void ProcessGroup::release_local_ranks() {
  if (!connection_ || environment_.local_rank != 0) return;
  with_store(environment_, [&] { connection_->rendezvous.post(fmt::format("prepared/{}", environment_.machine), ""); });
}

void ProcessGroup::open(at::Device device) {
  if (!connection_) return;
  // One rank loads longer than another, and the group's timeout is for steps. c10d's monitoredBarrier would need the
  // group, exists for Gloo alone and names a missing rank on rank 0 alone; the heartbeats name it on all.
  all_gather("");
  connection_->device = device;
  connection_->with_group(*this, [&] {
    const auto store = c10::make_intrusive<c10d::PrefixStore>("group", connection_->rendezvous.store());
    connection_->group = device.is_cuda() ? layers::make_nccl_group(store, rank(), size(), timeout_)
                                          : open_gloo(store, environment_, timeout_);
  });
}

void ProcessGroup::all_reduce(const at::Tensor& message) {
  if (!connection_) return;
  NKAT_INVARIANT(connection_->group && message.is_contiguous() && message.device() == connection_->device);
  std::vector<at::Tensor> tensors{message};
  connection_->with_group(*this, [&] { connection_->group->allreduce(tensors)->wait(); });
}

void ProcessGroup::broadcast(const at::Tensor& tensor) {
  if (!connection_) return;
  NKAT_INVARIANT(connection_->group && tensor.is_contiguous());
  std::vector<at::Tensor> tensors{tensor.to(connection_->device)};
  connection_->with_group(*this, [&] { connection_->group->broadcast(tensors)->wait(); });
  if (!tensors[0].is_same(tensor)) tensor.copy_(tensors[0]);
}

std::vector<std::vector<std::uint64_t>> ProcessGroup::all_gather_integers(const std::vector<std::uint64_t>& integers) {
  if (!connection_) return {integers};
  NKAT_INVARIANT(connection_->group && !integers.empty());
  at::Tensor mine = at::empty({std::ssize(integers)}, at::kLong);
  std::memcpy(mine.mutable_data_ptr(), integers.data(), mine.nbytes());
  std::vector<at::Tensor> inputs{mine.to(connection_->device)};
  std::vector<std::vector<at::Tensor>> outputs(1);
  for (int rank = 0; rank < size(); ++rank) outputs[0].push_back(at::empty_like(inputs[0]));
  connection_->with_group(*this, [&] { connection_->group->allgather(outputs, inputs)->wait(); });
  std::vector<std::vector<std::uint64_t>> gathered;
  for (const at::Tensor& output : outputs[0]) {
    const at::Tensor of_rank = output.cpu();
    gathered.emplace_back(integers.size());
    std::memcpy(gathered.back().data(), of_rank.const_data_ptr(), of_rank.nbytes());
  }
  return gathered;
}

void ProcessGroup::shutdown() {
  if (!connection_) return;
  // Before the barrier: the process that keeps the store may exit right after it.
  with_store(environment_, [&] { connection_->rendezvous.leave(); });
  if (connection_->group) {
    c10d::BarrierOptions options;
    options.device = connection_->device;
    connection_->with_group(*this, [&] { connection_->group->barrier(options)->wait(); });
    return;
  }
  // Only rank 0 has to wait: the store may end with its process.
  with_store(environment_, [&] {
    connection_->rendezvous.post(fmt::format("left/{}", rank()), "");
    if (rank() == 0) connection_->rendezvous.wait_for(connection_->rendezvous.keys("left"));
  });
}

}  // namespace nkat::train
