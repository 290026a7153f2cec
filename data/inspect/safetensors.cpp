// safetensors files, and the model, adapter and checkpoint folders that are made of them.
#include "data/formats/safetensors.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"
#include "core/signals.h"
#include "data/inspect/inspection.h"
#include "data/inspect/nonfinite.h"
#include "data/run/adapter_config.h"
#include "data/run/checkpoint_files.h"

namespace nkat::gguf {
namespace {

using Json = nlohmann::ordered_json;
using data::SafetensorsFile;
using data::TensorInfo;

constexpr std::uint64_t kLargestState = 16 << 20;

void add_tensor(Inspection& inspection, const SafetensorsFile& file, const TensorInfo& info, Values values) {
  throw_if_stop_requested();
  if (values == Values::kFinite) {
    require_finite(info.dtype, file.bytes(info), fmt::format("{}: tensor '{}'", file.path().string(), info.name));
    file.release(info);
  }
  inspection.tensors.push_back({.name = info.name,
                                .type = data::dtype_name(info.dtype),
                                .shape = {info.shape.begin(), info.shape.end()},
                                .bytes = info.end - info.begin});
}

void add_file(Inspection& inspection, const SafetensorsFile& file, Values values) {
  for (const TensorInfo& info : file.tensors()) add_tensor(inspection, file, info, values);
}

void finish(Inspection& inspection, Values values) {
  add_totals(inspection);
  inspection.holds("every name, type, size and range; the tensors cover the data exactly");
  if (values == Values::kFinite) inspection.holds("all floating-point numbers are finite");
}

// The tensors of an adapter are those that its config asks for.
void check_adapter(const SafetensorsFile& file, const data::AdapterConfig& config) {
  const auto count = static_cast<std::int64_t>(file.tensors().size());
  if (count != 2 * config.layers()) {
    throw FormatError(fmt::format("{}: weight and alpha of layers {} to {} were required, found {} tensors",
                                  file.path().string(), config.first_adapter_layer, config.num_hidden_layers - 1,
                                  count));
  }
  for (const TensorInfo& info : file.tensors()) {
    const bool is_alpha = info.name.ends_with("alpha");
    const std::vector<std::int64_t> shape =
        is_alpha ? std::vector<std::int64_t>{} : std::vector{config.blocks(), std::int64_t{8}, std::int64_t{8}};
    if (info.dtype != data::DType::kF32 || info.shape != shape) {
      throw FormatError(fmt::format("{}: tensor '{}': F32 [{}] was required, found {} [{}]", file.path().string(),
                                    info.name, fmt::join(shape, ", "), data::dtype_name(info.dtype),
                                    fmt::join(info.shape, ", ")));
    }
  }
}

void add_adapter(Inspection& inspection, const fs::path& folder, Values values) {
  const data::AdapterConfig config = data::read_adapter_config(folder);
  inspection.facts["config"] = Json::parse(data::adapter_config_text(config));
  const SafetensorsFile file(folder / data::kAdapterModelFile);
  check_adapter(file, config);
  add_file(inspection, file, values);
  inspection.holds("the adapter's tensors are those that its config asks for");
}

}  // namespace

Inspection inspect_safetensors(const fs::path& path, Values values) {
  const SafetensorsFile file(path);
  Inspection inspection{.path = path.string(), .kind = "safetensors file"};
  inspection.facts["bytes"] = fs::file_size(path);
  add_file(inspection, file, values);
  finish(inspection, values);
  if (!file.metadata().empty()) inspection.facts["metadata"] = file.metadata();
  return inspection;
}

Inspection inspect_model_folder(const fs::path& folder, Values values) {
  const data::SafetensorsFolder model(folder);
  Inspection inspection{.path = folder.string(), .kind = "model folder"};
  for (const fs::path& file : model.files()) inspection.facts["files"][file.filename().string()] = fs::file_size(file);
  for (const std::string& name : model.names()) {
    const auto located = model.find(name);
    add_tensor(inspection, *located->file, *located->info, values);
  }
  finish(inspection, values);
  return inspection;
}

Inspection inspect_adapter(const fs::path& folder, Values values) {
  Inspection inspection{.path = folder.string(), .kind = "NKAT-SO8T adapter"};
  add_adapter(inspection, folder, values);
  finish(inspection, values);
  return inspection;
}

Inspection inspect_checkpoint(const fs::path& folder, Values values) {
  data::verify_manifest(folder);
  Inspection inspection{.path = folder.string(), .kind = "checkpoint of an NKAT-SO8T run"};
  inspection.holds("every file has the size and the SHA-256 of manifest.json");
  const fs::path state_path = folder / data::kStateJson;
  inspection.facts["state"] = parse_json(read_file(state_path, kLargestState), state_path.string());
  add_adapter(inspection, folder, values);
  add_file(inspection, SafetensorsFile(folder / data::kStateTensors), values);
  finish(inspection, values);
  return inspection;
}

}  // namespace nkat::gguf
