// One record as the tokens that are trained on: ids, label mask, truncation.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/datasets/dataset_options.h"
#include "data/datasets/record.h"
#include "data/text/chat_template.h"
#include "data/text/tokenizer.h"

namespace nkat::data {

// The label mask is a bit of each token: set where the token is a target of the loss.
inline constexpr std::uint32_t kTargetBit = 1u << 31;

enum class TruncationResult { kWhole, kTruncated, kDroppedOverlong, kDroppedWithoutTarget };

class SampleEncoder {
 public:
  // Tokenizer and template must outlive it. Of the options it reads length, overlong and special tokens.
  SampleEncoder(const Tokenizer& tokenizer, const ChatTemplate& chat_template, const DatasetOptions& options)
      : tokenizer_(tokenizer), chat_template_(chat_template), options_(options) {}

  // All tokens of the record with their label mask. The first token is never a target, since nothing predicts it:
  // whatever reads samples may rely on that.
  std::vector<std::uint32_t> encode(const Record& record) const;
  // Applies the limit. Overlong::kError throws DataError "where: ...".
  TruncationResult truncate(std::vector<std::uint32_t>& tokens, const std::string& where) const;
  // Hash of what decides tokens besides the file itself.
  std::string identity() const;

 private:
  const Tokenizer& tokenizer_;
  const ChatTemplate& chat_template_;
  DatasetOptions options_;
};

std::int64_t count_targets(std::span<const std::uint32_t> tokens);

}  // namespace nkat::data
