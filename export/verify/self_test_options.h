// What the self-test of an export is to do, from the command's options.
#pragma once

#include <vector>

#include "export/export_options.h"
#include "export/verify/self_test.h"

namespace nkat::exporting {

// stored: the types of the file's tensors; the coarsest decides how far its predictions may be off, where the options
// don't. With --self-test full the prompts are those of options.model_path.
SelfTestOptions self_test_options(const ExportOptions& options, const models::Phi3Config& config,
                                  const std::vector<gguf::GgmlType>& stored);

// Of a plan's tensors.
std::vector<gguf::GgmlType> stored_types(const std::vector<PlannedTensor>& plan);

}  // namespace nkat::exporting
