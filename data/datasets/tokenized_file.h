// The tokens of one data file, from its cache or made now.
//
// A cache is a file of core's cache_folder(), named by the hash of the data file's bytes and of everything that decides
// its tokens. One that is damaged or of another version is rebuilt; where the folder can't be written, a temporary file
// takes its place.
#pragma once

#include <string>

#include "data/datasets/dataset.h"

namespace nkat::data {

struct TokenizedFile {
  TokenCache cache;
  DatasetSummary summary;  // of this file, read once; sha256 is that of its bytes
};

// bad_allowed: how many bad records of this file may be left out.
TokenizedFile open_tokenized_file(const fs::path& path, const SampleEncoder& encoder, std::int64_t bad_allowed);

}  // namespace nkat::data
