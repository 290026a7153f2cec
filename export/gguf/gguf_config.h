// The config of a model from the metadata of its GGUF file, for files without a model folder: architectures phi3, llama
// (of Mistral models too), qwen2 and qwen3, dense.
//
// Accepts files of any maker: optional keys may be missing (llama.cpp's defaults apply); head counts and the
// feed-forward length may be lists, one value per layer, if all are equal. The longest context is context_length, or
// the original length if that is longer. Biases, norms of heads and a tied head are known by the tensors that are there.
// rope_freqs.weight becomes short_factor alone. Of phi3 rope.scaling.type and rope.scaling.factor aren't read; of the
// others a linear scaling is.
//
// FormatError naming file and key: another architecture, experts, a yarn scaling, a part of a split file, values of another type (llama.cpp
// refuses them too), impossible sizes, heads that don't divide, a token table of another length than the embedding,
// special tokens outside it, rope factors that don't fit.
#pragma once

#include "data/formats/gguf_reader.h"
#include "models/config.h"

namespace nkat::exporting {

models::ModelConfig model_config_from(const gguf::GgufFile& file);

}  // namespace nkat::exporting
