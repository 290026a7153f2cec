// A model as text: its modules in forward order with shape, format and bytes, and how many parameters are frozen and
// trained. Arithmetic over the table of tensor_table.h, no tensors. No LibTorch.
#pragma once

#include <cstdint>
#include <string>

#include "models/config.h"
#include "models/weights/weight_format.h"

namespace nkat::models {

struct SummaryRequest {
  BaseFormat base = BaseFormat::kSafe;
  std::int64_t element_bytes = 2;  // of the compute type: 2 bf16, 4 fp32
  std::int64_t first_adapter_layer = 0;
};

// One line a module, those of a layer once; exact numbers.
std::string describe(const ModelConfig& config, const SummaryRequest& request);
// "adapter: 30 of 32 layers, 737310 parameters; base: 3821079552 parameters frozen"
std::string adapter_line(const ModelConfig& config, std::int64_t first_adapter_layer);

}  // namespace nkat::models
