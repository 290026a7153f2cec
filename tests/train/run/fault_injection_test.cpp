#include "train/run/fault_injection.h"

#include <cmath>
#include <cstdlib>

#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace nkat::train {
namespace {

FaultInjection faults_of(const char* text) {
  ::setenv("NKAT_FAULTS", text, 1);
  struct Cleaner {
    ~Cleaner() { ::unsetenv("NKAT_FAULTS"); }
  } cleaner;
  return FaultInjection::from_environment();
}

class FaultInjectionTest : public ::testing::Test {
 protected:
  void use(const char* text) {
    faults_ = faults_of(text);
    run_ = faults_.decorate([](const auto&, const auto&, double scale, const auto&) { return scale; });
  }
  void begin_step(std::int64_t number) {
    state_.step = number - 1;
    faults_.begin_step(state_);
  }
  double run() { return run_({}, {}, 0.5, {}); }

  FaultInjection faults_;
  MicroBatchFunction run_;
  TrainerState state_{.adapter = {.weight = at::zeros({1, 1, 8, 8}), .alpha = at::zeros({1})}};
};

TEST_F(FaultInjectionTest, StrikesOncePerEntryInItsStep) {
  use("oom@2,oom@2,device@3,bug@4");
  begin_step(1);
  EXPECT_EQ(run(), 0.5);
  begin_step(2);
  EXPECT_THROW(run(), c10::OutOfMemoryError);
  EXPECT_THROW(run(), c10::OutOfMemoryError);
  EXPECT_EQ(run(), 0.5);
  begin_step(3);
  EXPECT_THROW(run(), c10::Error);
  begin_step(4);
  EXPECT_THROW(run(), std::logic_error);
  EXPECT_EQ(run(), 0.5);
}

TEST_F(FaultInjectionTest, MakesAllMicroBatchesOfAStepNotFinite) {
  use("nan@2");
  for (const std::int64_t step : {1, 2, 3}) {
    begin_step(step);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(std::isnan(run()), step == 2);
  }
}

TEST_F(FaultInjectionTest, ADriftChangesOneWeight) {
  use("drift@2");
  begin_step(1);
  EXPECT_EQ(state_.adapter.weight.abs().sum().item<float>(), 0.0F);
  begin_step(2);
  EXPECT_EQ(state_.adapter.weight.abs().sum().item<float>(), 1e-6F);
}

TEST(FaultInjection, IsEmptyWithoutTheVariable) {
  ::unsetenv("NKAT_FAULTS");
  EXPECT_TRUE(FaultInjection::from_environment().empty());
}

TEST(FaultInjection, RefusesAMalformedValue) {
  for (const char* text : {"oom", "oom@", "oom@x", "fire@3", "oom@3;nan@4"}) EXPECT_THROW(faults_of(text), ConfigError);
}

}  // namespace
}  // namespace nkat::train
