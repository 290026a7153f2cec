// The token cache of one data file: opened if it is there and whole, made otherwise.
#pragma once

#include <string>

#include "data/datasets/dataset.h"

namespace nkat::data {

struct TokenizedFile {
  TokenCache cache;
  DatasetSummary summary;  // of this file, read once; sha256 is that of its bytes
};

// bad_allowed: how many bad records may be left out of this file.
TokenizedFile open_tokenized_file(const fs::path& path, const SampleEncoder& encoder, std::int64_t bad_allowed);

}  // namespace nkat::data
