// Lines of JSONL as a dataset of the tiny tokenizer.
#pragma once

#include <cstdlib>
#include <string>

#include "data/datasets/dataset.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::testing {

inline constexpr std::int64_t kTinyVocabulary = 311;

// Files and token cache lie in `folder`, which outlives the dataset.
inline data::Dataset tiny_dataset(const TemporaryFolder& folder, const std::string& lines) {
  setenv("NKAT_CACHE_DIR", (folder.path() / "cache").c_str(), 1);
  const data::Tokenizer tokenizer(write_tiny_tokenizer(folder));
  data::DatasetOptions options;
  options.files = {folder.write("train.jsonl", lines).string()};
  options.vocabulary_size = kTinyVocabulary;
  data::Dataset dataset(options, tokenizer, data::ChatTemplate::from_model_folder(folder.path()));
  unsetenv("NKAT_CACHE_DIR");
  return dataset;
}

}  // namespace nkat::testing
