#include "validation/gates/gate_report.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace nkat::validation {
namespace {

TEST(GateReport, NamesEveryVerdictDifferently) {
  std::set<std::string> names;
  for (const Verdict verdict : kVerdicts) names.insert(verdict_name(verdict));
  EXPECT_EQ(names, (std::set<std::string>{"transition", "in progress", "drift", "closed", "unresolved"}));
}

TEST(GateReport, CountsLayersByVerdict) {
  GateReport report;
  report.layers = {{.verdict = Verdict::kDrift}, {.verdict = Verdict::kTransition}, {.verdict = Verdict::kDrift}};
  EXPECT_EQ(report.count(Verdict::kDrift), 2);
  EXPECT_EQ(report.count(Verdict::kClosed), 0);
}

}  // namespace
}  // namespace nkat::validation
