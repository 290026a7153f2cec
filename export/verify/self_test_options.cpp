#include "export/verify/self_test_options.h"

#include <algorithm>

#include "export/verify/self_test_prompts.h"

namespace nkat::exporting {

SelfTestOptions self_test_options(const ExportOptions& options, const models::Phi3Config& config,
                                  const std::vector<gguf::GgmlType>& stored) {
  SelfTestOptions test{.output = options.output, .limits = {options.min_retention, options.max_noise}};
  if (options.self_test != SelfTestScope::kFull) return test;
  test.prompts = self_test_prompts(options.model_path, config);
  test.maximum_kl = options.maximum_kl;
  if (options.maximum_kl > 0) return test;
  for (const gguf::GgmlType type : stored) test.maximum_kl = std::max(test.maximum_kl, default_maximum_kl(type));
  return test;
}

std::vector<gguf::GgmlType> stored_types(const std::vector<PlannedTensor>& plan) {
  std::vector<gguf::GgmlType> types;
  for (const PlannedTensor& one : plan) types.push_back(one.stored);
  return types;
}

}  // namespace nkat::exporting
