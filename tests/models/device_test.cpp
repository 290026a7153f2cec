#include "models/device.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/machine.h"
#include "layers/kernels/device_info.h"

namespace nkat::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

bool has_cuda() { return at::detail::getCUDAHooks().hasCUDA(); }

struct Options {
  Options() { declare_device_options(list, device, precision, base); }
  std::string device = "auto";
  Precision precision = Precision::kAuto;
  BaseFormat base = BaseFormat::kSafe;
  OptionList list;
};

TEST(Device, ItsOptionTakesWhatIsResolved) {
  for (const char* text : {"auto", "cpu", "cuda", "cuda:0", "cuda:127"}) {
    Options options;
    options.list.apply({{"device", {text}}}, nlohmann::ordered_json::object(), "");
    EXPECT_EQ(options.device, text);
  }
}

TEST(Device, ReadsTheSpellingsOfTheOption) {
  EXPECT_EQ(resolve_device("cpu"), at::Device(at::kCPU));
  EXPECT_EQ(resolve_device("auto").is_cuda(), has_cuda());
}

TEST(Device, RefusesOtherSpellings) {
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:1000", "CPU"}) {
    EXPECT_THAT([&] { resolve_device(text); }, ThrowsMessage<ConfigError>(HasSubstr("auto, cpu or cuda:N"))) << text;
    EXPECT_THROW(Options().list.apply({{"device", {text}}}, nlohmann::ordered_json::object(), ""), ConfigError) << text;
  }
}

TEST(Device, SaysWhenThereIsNoSuchCudaDevice) {
  EXPECT_THAT([] { resolve_device("cuda:99"); }, ThrowsMessage<DeviceError>(HasSubstr("cuda:99")));
  if (has_cuda()) GTEST_SKIP() << "this machine has a CUDA device";
  EXPECT_THAT([] { resolve_device("cuda:0"); }, ThrowsMessage<DeviceError>(HasSubstr("--device cpu")));
}

TEST(Device, AutoRefusesADriverThatIsThereAndUnusable) {
  if (has_cuda()) GTEST_SKIP() << "this machine has a CUDA device";
  if (!layers::built_with_cuda()) GTEST_SKIP() << "built without the CUDA kernels";
  EXPECT_THAT([] { resolve_device("auto", "535.183.01"); },
              ThrowsMessage<DeviceError>(AllOf(HasSubstr("580"), HasSubstr("535.183.01"), HasSubstr("--device cpu"))));
  EXPECT_TRUE(resolve_device("auto", std::nullopt).is_cpu());
  EXPECT_TRUE(resolve_device("cpu", "535.183.01").is_cpu());
}

TEST(Precision, AutoIsBf16WhereTheProcessorHasIt) {
  EXPECT_EQ(resolve_precision(Precision::kBf16, at::kCPU), at::kBFloat16);
  EXPECT_EQ(resolve_precision(Precision::kFp32, at::kCPU), at::kFloat);
  EXPECT_EQ(resolve_precision(Precision::kAuto, at::kCPU), processor_has_bf16() ? at::kBFloat16 : at::kFloat);
  EXPECT_EQ(resolve_precision(Precision::kAuto, at::Device(at::kCUDA, 0)), at::kBFloat16);
  EXPECT_EQ(value_of("fp16", kPrecisionNames), std::nullopt);
  EXPECT_EQ(precision_of(at::kBFloat16), Precision::kBf16);
  EXPECT_EQ(precision_of(at::kFloat), Precision::kFp32);
  EXPECT_EQ(precision_name(at::kBFloat16), "bf16");
  EXPECT_EQ(precision_name(at::kFloat), "fp32");
}

}  // namespace
}  // namespace nkat::models
