#include "data/datasets/sample_encoder.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files/sha256.h"
#include "core/message.h"

namespace nkat::data {

Sample SampleEncoder::encode(const Record& record, ChangedTexts changed_texts) const {
  Sample sample;
  std::vector<std::uint32_t>& tokens = sample.tokens;
  if (record.turns.empty()) {
    for (const std::int32_t id : tokenizer_.encode_whole(record.text, options_.special_tokens)) {
      tokens.push_back(static_cast<std::uint32_t>(id) | kTargetBit);
    }
  } else {
    const RenderedConversation rendered = chat_template_.render_parts(record.turns, /*generation_prompt=*/false);
    const ChatTemplate::Encoded encoded =
        ChatTemplate::encode(tokenizer_, rendered, record.turns, options_.special_tokens);
    for (std::size_t i = 0; i < encoded.tokens.size(); ++i) {
      tokens.push_back(static_cast<std::uint32_t>(encoded.tokens[i]) | (encoded.is_target[i] ? kTargetBit : 0));
    }
    sample.left_out = left_out(rendered, record.turns);
    if (changed_texts == ChangedTexts::kLookFor)
      sample.changed_text = chat_template_.changed_by_later_turns(rendered, record.turns);
  }
  if (!tokens.empty()) tokens[0] &= ~kTargetBit;
  return sample;
}

TruncationResult SampleEncoder::truncate(std::vector<std::uint32_t>& tokens, const std::string& where) const {
  const auto limit = static_cast<std::size_t>(options_.max_sequence_length);
  TruncationResult result = TruncationResult::kWhole;
  if (tokens.size() > limit) {
    if (options_.overlong == Overlong::kDrop) return TruncationResult::kDroppedOverlong;
    if (options_.overlong == Overlong::kError) {
      throw DataError(fmt::format("{}: {}", where,
                                  expected(fmt::format("at most {} tokens", limit), std::to_string(tokens.size()),
                                           "raise --max-sequence-length or choose --overlong cut or drop")));
    }
    tokens.resize(limit);
    result = TruncationResult::kTruncated;
  }
  return count_targets(tokens) == 0 ? TruncationResult::kDroppedWithoutTarget : result;
}

std::string SampleEncoder::identity() const {
  return sha256_hex(fmt::format("{} {} {} {} {}", tokenizer_.sha256(), chat_template_.identity(),
                                options_.max_sequence_length, static_cast<int>(options_.overlong),
                                static_cast<int>(options_.special_tokens)));
}

std::int64_t count_targets(std::span<const std::uint32_t> tokens) {
  return std::ranges::count_if(tokens, [](std::uint32_t one) { return (one & kTargetBit) != 0; });
}

}  // namespace nkat::data
