// Verification of a written file before it is published: our own readers open it again, every tensor must be there with
// its type and sizes, and hold the merged weights up to its type's rounding (quantization_error_bound below). With prompts,
// its logits are compared with backbone + adapter (logit_comparison.h). Retention is measured on the way
// (adapter_retention.h).
//
// CheckError (exit 5) names what is wrong; the caller then doesn't publish the file. A change lost to a coarse type is
// no such error: the file is what was asked for. Throws Interrupted between pieces and layers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/quantize/ggml_type.h"
#include "export/export_options.h"
#include "export/gguf/tensor_plan.h"
#include "export/merge/merged_weights.h"
#include "export/verify/adapter_retention.h"
#include "export/verify/logit_comparison.h"

namespace nkat::exporting {

struct SelfTestOptions {
  std::string output;  // the name that the file will have, for messages
  RetentionLimits limits = {};
  Prompts prompts = {};  // none: tensors alone
  double maximum_kl = 0;
  std::function<bool(const models::TensorSpec&)> is_weighted = {};  // encoded with an importance?
  bool judges_rounding = true;                                      // false: the base is the file's own decoded weights
};
// stored: the types in the file. Unless the options say, the coarsest one bounds how far the predictions may be off.
// With --self-test full the prompts are rendered and encoded with the template and tokenizer of options.model_path.
// FormatError for a folder whose tokenizer or template is unknown.
SelfTestOptions self_test_options(const ExportOptions& options, const models::ModelConfig& config,
                                  const std::vector<gguf::GgmlType>& stored);
std::vector<gguf::GgmlType> stored_types(const std::vector<PlannedTensor>& plan);

struct SelfTest {
  std::vector<TensorRetention> retention;  // of ffn_down, by layer
  std::optional<LogitComparison> logits;
};

SelfTest self_test_gguf(const fs::path& path, const std::vector<PlannedTensor>& plan, const models::ModelConfig& config,
                        const MergedWeights& weights, const SelfTestOptions& options);
SelfTest self_test_folder(const fs::path& folder, gguf::GgmlType type, const MergedWeights& weights,
                          const SelfTestOptions& options);

// A tensor of the written model, to be compared with the merged weights.
struct StoredTensor {
  models::TensorSpec source;  // in the base's checkpoint
  std::string written;        // its name among the written weights
  gguf::GgmlType type = gguf::GgmlType::kF32;
  bool weighted = false;  // encoded with an importance: it may be off by up to half of the weights' size
};
// The part that needs no file: these tensors, and with prompts the logits. config: the base's.
SelfTest self_test_weights(const models::ModelConfig& config, const MergedWeights& weights, const WrittenModel& written,
                           const std::vector<StoredTensor>& stored, const SelfTestOptions& options);
// CheckError if the logits are further off than allowed. Apart from the test, so that the figures can be shown.
void require_predictions(const SelfTest& test, const std::string& output);
// Runs `test`; an error of the readers becomes a CheckError, since the file was just written and isn't the user's.
SelfTest as_check(const std::string& output, const std::function<SelfTest()>& test);
// "nothing was published, ...": ends the messages of failed checks.
extern const char* const kNotPublished;

// How far decoded weights may be from the encoded ones if nothing but rounding came between.
//
// Two parts per type. A share of |W'|: half a grid step for the weights of a block that is as wide as its norm allows
// (of 32 weights one at the end of the range, sqrt(31) half steps beside it; for K types also the rounding of the
// scales of narrower sub-blocks). And per weight the rounding of scales below float16's normal range (at most 2^-25,
// times the largest code they multiply). No sound file exceeds the bound; one with another tensor, zeros, or a damaged
// block of large scale does.

// The largest |F - W'| of `elements` weights with |W'| = size.
double quantization_error_bound(gguf::GgmlType type, double size, std::uint64_t elements);

}  // namespace nkat::exporting
