// The merged model as a GGUF file: the plan of its tensors, and the streaming writer.
//
// A piece of at most 16 MiB of one tensor is decoded, merged, encoded and appended at a time. Deterministic. The file
// is whole or absent, and absent too if `verify` throws (gguf_writer.h). Errors: FormatError naming the tensor whose
// weights are not finite or don't fit their type; DeviceError for a disk that is too full; Interrupted if a stop is
// asked for.
#pragma once

#include <string>
#include <vector>

#include "core/files/file.h"
#include "data/formats/gguf_metadata.h"
#include "data/formats/gguf_writer.h"
#include "export/gguf/phi3_tensors.h"
#include "export/imatrix/importance.h"
#include "export/merge/merged_weights.h"

namespace nkat::exporting {

struct PlannedTensor {
  Phi3Tensor tensor;
  gguf::GgmlType wanted;  // by the mix
  gguf::GgmlType stored;  // the same, or what rows of this length fall back to
};

std::vector<PlannedTensor> plan_tensors(const models::Phi3Config& config, QuantizationRecipe mix);
// "ffn_down.weight (6 tensors): q4_K as q5_0, rows of 96"; one line a kind, none if nothing falls back.
std::vector<std::string> fallbacks(const std::vector<PlannedTensor>& plan);

// Throws what writing the file would for want of space or permission, before a long work begins.
void require_room(const fs::path& path, const gguf::GgufMetadata& metadata, const std::vector<PlannedTensor>& plan);

// Is the tensor of that file the planned one, by name, type and shape?
bool is_planned(const gguf::GgufTensor& found, const PlannedTensor& planned);

// What is encoded, and how its columns weigh.
struct EncodedWeights {
  const MergedWeights& weights;
  const Importance& importance;  // Importance(): all alike
};
void write_merged_gguf(const fs::path& path, const gguf::GgufMetadata& metadata, const std::vector<PlannedTensor>& plan,
                       const EncodedWeights& from, const gguf::VerifyFile& verify = {});

// One tensor in pieces, encoded as `type`. source: its name in the checkpoint. importance: a weight a column, or empty.
void produce_encoded(const MergedWeights& weights, const std::string& source, gguf::GgmlType type,
                     const gguf::AppendBytes& append, std::span<const float> importance = {});

}  // namespace nkat::exporting
