#include "validation/tasks/subject.h"

#include "models/base_hash.h"
#include "models/runtime.h"

namespace nkat::validation {
namespace {

models::AdapterSet read_adapter(const SubjectOptions& options, const models::Phi3Config& config) {
  models::LoadedAdapter loaded = models::load_adapter(options.adapter, config);
  models::require_same_base(loaded, models::base_sha256(options.model_path), options.adapter);
  return std::move(loaded.adapter);
}

}  // namespace

Subject open_subject(const SubjectOptions& options) {
  const models::Phi3Config config = models::read_phi3_config(options.model_path);
  const at::Device device = models::resolve_device(options.device);
  const at::ScalarType precision = models::resolve_precision(options.precision, device);
  models::TextSide text = models::open_text_side(options.model_path, config);
  models::AdapterSet adapter;
  std::vector<at::Tensor> blocks;
  if (!options.adapter.empty()) {
    adapter = read_adapter(options, config);
    blocks = adapter.blocks(adapter.rotations(), device);
  }
  return {.config = config,
          .text = std::move(text),
          .decoder = models::open_decoder(options.model_path, config, precision, device),
          .adapter = std::move(adapter),
          .blocks = std::move(blocks)};
}

}  // namespace nkat::validation
