// The sizes and positions of a phi3 model as its GGUF file tells them, for files without a model folder beside them.
//
// Accepts files of any maker: optional keys may be missing (llama.cpp's own defaults are taken), head counts and the
// feed-forward length may be lists, one a layer, if all their values are equal. The file's context_length is taken as
// the longest context, or the original one where that is longer. Not read: rope.scaling.type and rope.scaling.factor.
//
// Errors: FormatError naming file, key, requirement and what was found: another architecture, a part of a split file,
// values of another type (llama.cpp refuses them too), sizes of no model, heads that don't divide, a token table of
// another length than the embedding, special tokens outside it, rope factors that don't fit.
#pragma once

#include "data/formats/gguf_reader.h"
#include "models/config.h"

namespace nkat::exporting {

models::Phi3Config phi3_config_from(const gguf::GgufFile& file);

}  // namespace nkat::exporting
