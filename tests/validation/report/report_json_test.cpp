#include "validation/report/report_json.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/validation/report/example_findings.h"

namespace nkat::validation {
namespace {

using testing::checked_findings;

TEST(ReportJson, HoldsTheKeysOfTheContract) {
  const auto json = to_json(checked_findings());
  for (const char* key :
       {"verdict", "tau", "tau_interval", "layers_by_verdict", "crossings", "max_susceptibility_step"})
    EXPECT_TRUE(json["run"].contains(key)) << key;
  for (const char* key :
       {"layer", "verdict", "specific", "reclosed", "shape", "tau", "tau_interval", "sign_change",
        "sign_change_interval", "levels", "opened_at", "gate_first", "gate_max", "gate_last", "smallest_step_seen"})
    EXPECT_TRUE(json["layers"][0].contains(key)) << key;
  for (const char* key : {"step", "layer", "orthogonality_max", "orthogonality_mean", "determinant_max", "angle_max",
                          "norm_max", "triality", "bf16"})
    EXPECT_TRUE(json["geometry"][0].contains(key)) << key;
  for (const char* key : {"name", "value", "interval", "threshold", "status"})
    EXPECT_TRUE(json["checks"][0].contains(key)) << key;
  EXPECT_EQ(json["run"]["crossings"]["0.05"], 100);
  EXPECT_TRUE(json["run"]["crossings"]["0.5"].is_null());
  EXPECT_EQ(json["layers"][1]["levels"][1]["from"], 80);
  EXPECT_FALSE(json["sum"].contains("layer"));
}

}  // namespace
}  // namespace nkat::validation
