#include "train/ranks.h"

#include <cstdlib>
#include <thread>

// LibTorch is built with Gloo; its header asks to be told.
#define USE_C10D_GLOO
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "core/signals.h"
#include "layers/kernels/nccl_group.h"
#include "train/rank_words.h"

namespace nkat::train {
namespace {

constexpr std::chrono::milliseconds kPollEvery{50};

std::string first_line(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  const std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

c10::intrusive_ptr<c10d::Store> open_store(const RankEnvironment& environment, std::chrono::seconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = environment.port;
  options.isServer = environment.rank == 0 && !environment.store_is_there;
  options.numWorkers = static_cast<std::size_t>(environment.size);
  options.waitWorkers = false;
  options.timeout = timeout;
  // torchrun keeps one store across restarts: each start has keys of its own.
  return c10::make_intrusive<c10d::PrefixStore>(fmt::format("nkat/{}", environment.restart),
                                                c10::make_intrusive<c10d::TCPStore>(environment.address, options));
}

c10::intrusive_ptr<c10d::Backend> open_gloo(const c10::intrusive_ptr<c10d::Store>& store,
                                            const RankEnvironment& environment, std::chrono::seconds timeout) {
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

struct Ranks::Connection {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> group;
  at::Device device{at::kCPU};
  std::int64_t texts = 0;  // passed on by from_first

  // Runs what talks to the others.
  template <class Talk>
  auto talk(const Ranks& ranks, const Talk& talk) -> decltype(talk()) {
    try {
      return talk();
    } catch (const Error&) {
      throw;
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

Ranks::Ranks() = default;
Ranks::~Ranks() = default;

Ranks::Ranks(const RankEnvironment& environment, std::chrono::seconds timeout)
    : environment_(environment), timeout_(timeout) {
  if (size() == 1) return;
  // c10d prints a backtrace to every error that it also throws; a value of the user's own stays.
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
  try {
    connection_ = std::make_unique<Connection>();
    connection_->store = open_store(environment, timeout);
  } catch (const std::exception& error) {
    throw DeviceError(
        fmt::format("no rank and no torchrun answers at MASTER_ADDR {}, MASTER_PORT {} ({}); check both, and that rank "
                    "0 was started",
                    environment.address, environment.port, first_line(error)));
  }
}

void Ranks::wait_for_key(const std::string& key) {
  while (!connection_->store->check({key})) {
    throw_if_stop_requested();
    std::this_thread::sleep_for(kPollEvery);
  }
}

void Ranks::count_until_all(const std::string& key) {
  connection_->store->add(key, 1);
  while (connection_->store->add(key, 0) < size()) {
    throw_if_stop_requested();
    std::this_thread::sleep_for(kPollEvery);
  }
}

std::string Ranks::from_first(const std::string& text) {
  if (!connection_) return text;
  const std::string key = fmt::format("text/{}", connection_->texts++);
  return connection_->talk(*this, [&] {
    if (rank() == 0) {
      connection_->store->set(key, std::vector<std::uint8_t>(text.begin(), text.end()));
      return text;
    }
    wait_for_key(key);
    const std::vector<std::uint8_t> bytes = connection_->store->get(key);
    return std::string(bytes.begin(), bytes.end());
  });
}

void Ranks::wait_for_first_of_machine() {
  if (!connection_ || environment_.local_rank == 0) return;
  connection_->talk(*this, [&] { wait_for_key(fmt::format("prepared/{}", environment_.machine)); });
}

void Ranks::let_others_go_on() {
  if (!connection_ || environment_.local_rank != 0) return;
  connection_->talk(*this, [&] {
    connection_->store->set(fmt::format("prepared/{}", environment_.machine), std::vector<std::uint8_t>{1});
  });
}

void Ranks::open_group(at::Device device) {
  if (!connection_) return;
  connection_->device = device;
  connection_->talk(*this, [&] {
    // Loading takes one rank longer than another; the group's timeout is for steps.
    count_until_all("ready");
    const auto store = c10::make_intrusive<c10d::PrefixStore>("group", connection_->store);
    connection_->group = device.is_cuda() ? layers::make_nccl_group(store, rank(), size(), timeout_)
                                          : open_gloo(store, environment_, timeout_);
  });
}

void Ranks::sum(const at::Tensor& message) {
  if (!connection_) return;
  NKAT_INVARIANT(connection_->group && message.is_contiguous() && message.device() == connection_->device);
  std::vector<at::Tensor> tensors{message};
  connection_->talk(*this, [&] { connection_->group->allreduce(tensors)->wait(); });
}

void Ranks::broadcast(const at::Tensor& tensor) {
  if (!connection_) return;
  NKAT_INVARIANT(connection_->group && tensor.is_contiguous());
  std::vector<at::Tensor> tensors{tensor.to(connection_->device)};
  connection_->talk(*this, [&] { connection_->group->broadcast(tensors)->wait(); });
  if (!tensors[0].is_same(tensor)) tensor.copy_(tensors[0]);
}

std::vector<std::vector<std::uint64_t>> Ranks::gather(const std::vector<std::uint64_t>& words) {
  if (!connection_) return {words};
  const at::Tensor slots = at::zeros({word_floats(size(), words.size())}, at::kFloat);
  write_words(slots, rank(), words);
  const at::Tensor message = slots.to(connection_->device);
  sum(message);
  return read_words(message.cpu(), size());
}

void Ranks::leave_together() {
  if (!connection_) return;
  if (connection_->group) {
    gather({0});
    return;
  }
  // Only who may keep the store has to stay: it is gone with its process.
  connection_->talk(*this, [&] {
    if (rank() == 0) {
      count_until_all("left");
    } else {
      connection_->store->add("left", 1);
    }
  });
}

}  // namespace nkat::train
