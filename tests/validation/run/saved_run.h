// A run folder on disk as `nkat train` leaves it, made of numbers that a test chooses.
#pragma once

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/files/file.h"
#include "data/formats/safetensors.h"
#include "data/run/adapter_config.h"
#include "data/run/checkpoint_files.h"
#include "data/run/step_metrics.h"

namespace nkat::testing {

struct AdapterShape {
  std::int64_t hidden = 16;
  std::int64_t first_layer = 0;
  std::int64_t num_layers = 2;
  std::int64_t layers() const { return num_layers - first_layer; }
};

// A line whose numbers tell step and layer; alpha and force are float32 values, as the trainer's are.
inline data::StepMetrics metrics_line(std::int64_t step, std::int64_t layers) {
  data::StepMetrics line;
  line.step = step;
  line.loss = 3.0 / static_cast<double>(step);
  line.tokens = 100;
  line.step_seconds = 0.5;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    line.alpha.push_back(static_cast<float>(-5.0 + 0.01 * static_cast<double>(step - 1 + layer)));
    line.gate_force.push_back(static_cast<float>(0.3 * static_cast<double>(layer) - 0.1 * static_cast<double>(step)));
  }
  return line;
}

inline std::vector<data::StepMetrics> metrics_lines(std::int64_t steps, std::int64_t layers) {
  std::vector<data::StepMetrics> lines;
  for (std::int64_t step = 1; step <= steps; ++step) lines.push_back(metrics_line(step, layers));
  return lines;
}

inline std::string metrics_text(const std::vector<data::StepMetrics>& lines) {
  std::string text;
  for (const auto& line : lines) text += data::to_json_line(line);
  return text;
}

inline void write_text(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

// One value of a layer's W (N, 8, 8) by block, row and column.
using WeightFunction = std::function<float(std::int64_t block, std::int64_t row, std::int64_t column)>;

inline std::string adapter_bytes(const AdapterShape& shape, const WeightFunction& weight, float alpha = -5.0F) {
  std::vector<float> values;
  for (std::int64_t block = 0; block < shape.hidden / 8; ++block)
    for (std::int64_t entry = 0; entry < 64; ++entry) values.push_back(weight(block, entry / 8, entry % 8));
  std::vector<data::TensorToWrite> tensors;
  for (std::int64_t layer = shape.first_layer; layer < shape.num_layers; ++layer) {
    const std::string name = "layers." + std::to_string(layer) + ".so8t.";
    tensors.push_back({name + "weight", data::DType::kF32, {shape.hidden / 8, 8, 8}, std::as_bytes(std::span(values))});
    tensors.push_back({name + "alpha", data::DType::kF32, {}, std::as_bytes(std::span(&alpha, 1))});
  }
  return data::serialize_safetensors(tensors, {});
}

inline std::string series_bytes(const std::vector<data::StepMetrics>& lines, std::int64_t layers) {
  std::vector<float> alpha, force;
  for (const auto& line : lines) {
    alpha.insert(alpha.end(), line.alpha.begin(), line.alpha.end());
    force.insert(force.end(), line.gate_force.begin(), line.gate_force.end());
  }
  const std::vector<std::int64_t> size = {static_cast<std::int64_t>(lines.size()), layers};
  return data::serialize_safetensors({{"series.alpha", data::DType::kF32, size, std::as_bytes(std::span(alpha))},
                                      {"series.gate_force", data::DType::kF32, size, std::as_bytes(std::span(force))}},
                                     {});
}

// The files of a checkpoint but its manifest; a test may change them before write_checkpoint().
inline std::map<std::string, std::string> checkpoint_files(
    std::int64_t step, const std::vector<data::StepMetrics>& lines, const AdapterShape& shape,
    const WeightFunction& weight = [](auto, auto, auto) { return 0.0F; }) {
  const data::AdapterConfig config{
      .hidden_size = shape.hidden, .num_hidden_layers = shape.num_layers, .first_adapter_layer = shape.first_layer};
  return {{data::kAdapterModelFile, adapter_bytes(shape, weight)},
          {data::kAdapterConfigFile, data::adapter_config_text(config)},
          {data::kStateTensors, series_bytes(lines, shape.layers())},
          {data::kStateJson, nlohmann::json{{"version", 1}, {"step", step}}.dump()}};
}

inline fs::path write_checkpoint(const fs::path& run, std::int64_t step,
                                 const std::map<std::string, std::string>& files) {
  const fs::path folder = data::checkpoint_path(run / "checkpoints", step);
  for (const auto& [name, bytes] : files) write_text(folder / name, bytes);
  write_text(folder / data::kManifest, data::manifest_text(files));
  return folder;
}

}  // namespace nkat::testing
