// From a stretch of text between two added tokens to its tokens: normalization, added tokens that are looked for in the
// normalized text, cutting into words, and byte-pair merging of each word.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/added_tokens.h"
#include "data/text/token_span.h"
#include "data/text/tokenizer_model.h"
#include "data/text/words/byte_pair.h"
#include "data/text/words/split_expression.h"
#include "data/text/words/split_points.h"

namespace nkat::data {

class StretchEncoder {
 public:
  // The model must outlive it and stay where it is.
  explicit StretchEncoder(const TokenizerModel& model);

  // Appends the tokens of these bytes of the text, which is valid UTF-8. literal: added tokens are not looked for.
  // Several threads may call it.
  void encode(std::string_view text, ByteRange stretch, bool literal, std::vector<TokenSpan>& spans) const;

 private:
  class Run;
  struct Memory {
    MergeMemory merge;
    std::vector<std::string> bytes;     // of the word that each step cuts
    std::vector<std::string> prefixed;  // the same with a space in front
  };
  struct Step {
    std::optional<SplitExpression> expression;
    const SplitStep* rule = nullptr;
  };

  const TokenizerModel& model_;
  AddedTokenScanner scanner_;  // for normalized tokens
  BytePairMerger merger_;
  std::optional<SplitPoints> split_points_;  // kByteFallback
  std::vector<Step> steps_;                  // kByteLevel
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Memory>> idle_;  // one a thread that ever was in encode() at the same time
};

}  // namespace nkat::data
