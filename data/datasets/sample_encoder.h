// One record as the tokens that are trained on: ids, label mask, truncation.
#pragma once

#include <cstdint>
#include <optional>
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

// A record's tokens with their label mask, and what the chat template made of it.
struct Sample {
  std::vector<std::uint32_t> tokens;
  std::vector<std::string> left_out;  // names (left_out() in chat_template.h)
  std::optional<ChangedText> changed_text;
};

class SampleEncoder {
 public:
  // Tokenizer and template must outlive it. Of the options it reads length, overlong and special tokens.
  SampleEncoder(const Tokenizer& tokenizer, const ChatTemplate& chat_template, const DatasetOptions& options)
      : tokenizer_(tokenizer), chat_template_(chat_template), options_(options) {}

  // All tokens of the record with their label mask. The first token is never a target, since nothing predicts it:
  // whatever reads samples may rely on that.
  // DataError where the template can't render it.
  std::vector<std::uint32_t> encode(const Record& record) const { return encode(record, ChangedTexts::kIgnore).tokens; }
  // Looking for changed texts costs another rendering of a conversation with several answers.
  enum class ChangedTexts { kIgnore, kLookFor };
  Sample encode(const Record& record, ChangedTexts changed_texts) const;
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
