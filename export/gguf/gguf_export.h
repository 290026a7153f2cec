// Writes the merged model as a GGUF file, streaming: a piece of at most 16 MiB of one tensor is decoded, merged,
// encoded and appended at a time. Deterministic. The file is whole or absent, and absent too if `verify` throws
// (gguf_writer.h).
//
// Errors: FormatError naming the tensor whose weights are not finite or don't fit their type; DeviceError for a disk
// that is too full; Interrupted.
#pragma once

#include <string>
#include <vector>

#include "core/files/file.h"
#include "data/formats/gguf_metadata.h"
#include "data/formats/gguf_writer.h"
#include "export/gguf/tensor_plan.h"
#include "export/imatrix/importance.h"
#include "export/merge/merged_weights.h"

namespace nkat::exporting {

// Throws what writing the file would for want of space or permission, before a long computation begins.
void require_space(const fs::path& path, const gguf::GgufMetadata& metadata, const std::vector<PlannedTensor>& plan);

struct EncodedWeights {
  const models::WeightSource& weights;  // in the file's order of rows (gguf_order.h)
  const Importance& importance;  // Importance(): unweighted
};
void write_merged_gguf(const fs::path& path, const gguf::GgufMetadata& metadata, const std::vector<PlannedTensor>& plan,
                       const EncodedWeights& from, const gguf::VerifyFile& verify = {});

// One tensor in pieces, encoded as `type`. source: its name in the checkpoint. importance: a weight per column, or
// empty.
void produce_encoded(const models::WeightSource& weights, const std::string& source, gguf::GgmlType type,
                     const gguf::AppendBytes& append, std::span<const float> importance = {});

}  // namespace nkat::exporting
