#include "data/text/words/stretch_encoder.h"

#include <algorithm>

#include "core/utf8.h"
#include "data/text/unicode/nfc.h"
#include "data/text/words/space_mark.h"

namespace nkat::data {
namespace {

bool begins_with_space(std::string_view text) { return text.starts_with(' ') || text.starts_with(kSpaceMarkText); }

// As the normalizers Prepend and Replace write it.
NormalizedText with_space_marks(std::string_view text, const NormalizedText* before, bool prefix) {
  NormalizedText marked;
  const auto put = [&](std::string_view bytes, ByteRange origin) {
    marked.text += bytes;
    marked.origins.resize(marked.text.size(), origin);
  };
  if (prefix) put(kSpaceMarkText, {0, 0});
  for (std::size_t i = 0; i < text.size(); ++i) {
    const ByteRange origin = before == nullptr ? ByteRange{i, i + 1} : before->origins[i];
    put(text[i] == ' ' ? kSpaceMarkText : text.substr(i, 1), origin);
  }
  return marked;
}

std::string normalize(std::string_view text, const TokenizerModel& model) {
  std::optional<NormalizedText> normalized;
  if (model.nfc) normalized = to_nfc(text);
  if (model.kind == VocabularyKind::kByteFallback && !model.spaces.metaspace) {
    normalized = with_space_marks(normalized ? normalized->text : text, normalized ? &*normalized : nullptr,
                                  model.spaces.prefix == SpaceRule::Prefix::kAlways);
  }
  return normalized ? normalized->text : std::string(text);
}

}  // namespace

// One call of encode().
class StretchEncoder::Run {
 public:
  Run(const StretchEncoder& encoder, Memory& memory, std::string_view text, ByteRange stretch,
      std::vector<TokenSpan>& spans)
      : encoder_(encoder),
        memory_(memory),
        original_(text),
        stretch_(stretch),
        text_(text.substr(stretch.begin, stretch.end - stretch.begin)),
        spans_(spans),
        budget_(SearchBudget::for_text(stretch.end - stretch.begin)) {}

  void encode(bool literal) {
    const SpaceRule& spaces = encoder_.model_.spaces;
    const bool byte_level = encoder_.model_.kind == VocabularyKind::kByteLevel;
    const bool scans = !literal && !encoder_.scanner_.empty();
    const bool prefix = spaces.prefix == SpaceRule::Prefix::kAlways;
    if (encoder_.model_.nfc) normalize(to_nfc(text_));
    if (!byte_level && !spaces.metaspace) {
      if (!scans) return cut_fallback_text(text_, 0, prefix);
      normalize(with_space_marks(text_, normalized_ ? &*normalized_ : nullptr, prefix));
    }
    if (!scans) return encode_part({0, text_.size()});
    for (const TextPart& part : encoder_.scanner_.scan(text_, {})) {
      if (part.token != nullptr) {
        spans_.push_back({part.token->id, true, place(part.bytes)});
      } else {
        encode_part(part.bytes);
      }
    }
  }

 private:
  void normalize(std::optional<NormalizedText> normalized) {
    if (!normalized) return;
    normalized_ = std::move(normalized);
    text_ = normalized_->text;
  }

  // Text without added tokens.
  void encode_part(ByteRange bytes) {
    const std::string_view part = text_.substr(bytes.begin, bytes.end - bytes.begin);
    if (encoder_.model_.kind == VocabularyKind::kByteLevel) return cut(0, part, bytes.begin, /*inserted=*/0);
    const SpaceRule& spaces = encoder_.model_.spaces;
    const bool at_start = place({bytes.begin, bytes.begin}).begin == 0;
    const bool wants_prefix =
        spaces.prefix == SpaceRule::Prefix::kAlways || (spaces.prefix == SpaceRule::Prefix::kFirst && at_start);
    cut_fallback_text(part, bytes.begin, spaces.metaspace && wants_prefix && !begins_with_space(part));
  }

  void cut_fallback_text(std::string_view text, std::size_t begin, bool prefix) {
    const std::size_t inserted = prefix && !text.empty() ? 1 : 0;
    if (inserted != 0) text = with_space(text, memory_.prefixed[0]);
    for (std::size_t from = 0; from < text.size();) {
      std::size_t to = encoder_.split_points_->next(text, from);
      if (encoder_.model_.spaces.split) to = std::min(to, next_space(text, from));
      put_word(text.substr(from, to - from), from == 0 ? begin : begin + from - inserted, from == 0 ? inserted : 0);
      from = to;
    }
  }

  static std::string_view with_space(std::string_view text, std::string& storage) {
    storage = ' ';
    return storage += text;
  }

  // Behind the character at `from`.
  static std::size_t next_space(std::string_view text, std::size_t from) {
    const std::size_t behind = from + decode_valid_code_point(text, from).length;
    return std::min({text.find(' ', behind), text.find(kSpaceMarkText, behind), text.size()});
  }

  // One step for one word; `inserted` bytes at its beginning are not in the text, whose place `begin` is.
  void cut(std::size_t number, std::string_view word, std::size_t begin, std::size_t inserted) {
    if (number == encoder_.steps_.size()) return put_word(word, begin, inserted);
    const Step& step = encoder_.steps_[number];
    if (step.rule->prefix_space && !word.starts_with(' ')) {
      word = with_space(word, memory_.prefixed[number]);
      inserted = 1;
    }
    if (!step.expression) return cut(number + 1, word, begin, inserted);
    std::string& bytes = memory_.bytes[number];
    step.expression->to_bytes(word, bytes);
    std::size_t at = 0;  // of the characters before `count`
    std::size_t count = 0;
    const auto pass_on = [&](std::size_t to_count, bool kept) {
      const std::size_t from = at;
      if (bytes.size() == word.size()) at = to_count;
      for (; count < to_count && bytes.size() != word.size(); ++count) at += decode_valid_code_point(word, at).length;
      count = to_count;
      if (!kept || at == from) return;
      cut(number + 1, word.substr(from, at - from), from == 0 ? begin : begin + from - inserted,
          from == 0 ? inserted : 0);
    };
    for (std::size_t from = 0; from <= bytes.size();) {
      const std::optional<ByteRange> match = step.expression->find(bytes, from, budget_);
      if (!match) break;
      pass_on(match->begin, step.rule->keep_gaps);
      pass_on(match->end, step.rule->keep_matches);
      from = std::max(match->end, match->begin + 1);
    }
    pass_on(bytes.size(), step.rule->keep_gaps);
  }

  void put_word(std::string_view word, std::size_t begin, std::size_t inserted) {
    std::size_t from = begin;
    for (const WordToken& token : encoder_.merger_.merge(word, memory_.merge)) {
      const std::size_t to = begin + (token.end > inserted ? token.end - inserted : 0);
      spans_.push_back({token.id, false, place({from, to})});
      from = to;
    }
  }

  // From bytes of text_ to bytes of the original.
  ByteRange place(ByteRange bytes) const {
    ByteRange range{stretch_.begin + bytes.begin, stretch_.begin + bytes.end};
    if (normalized_) {
      const std::vector<ByteRange>& origins = normalized_->origins;
      range.begin =
          stretch_.begin + (bytes.begin < origins.size() ? origins[bytes.begin].begin : stretch_.end - stretch_.begin);
      range.end = bytes.end > bytes.begin ? stretch_.begin + origins[bytes.end - 1].end : range.begin;
    }
    if (range.end <= range.begin && range.begin < stretch_.end)
      range.end = range.begin + decode_valid_code_point(original_, range.begin).length;
    return range;
  }

  const StretchEncoder& encoder_;
  Memory& memory_;
  std::string_view original_;
  ByteRange stretch_;
  std::optional<NormalizedText> normalized_;
  std::string_view text_;  // of the stretch, normalized
  std::vector<TokenSpan>& spans_;
  SearchBudget budget_;
};

StretchEncoder::StretchEncoder(const TokenizerModel& model)
    : model_(model),
      scanner_(model.added_tokens, /*normalized=*/true, [&](std::string_view text) { return normalize(text, model); }),
      merger_(model) {
  if (model.kind == VocabularyKind::kByteFallback) {
    split_points_.emplace(model.pieces);
    return;
  }
  for (const SplitStep& rule : model.split_steps) {
    steps_.push_back({std::nullopt, &rule});
    if (!rule.expression.empty()) steps_.back().expression.emplace(rule.expression, model.source);
  }
}

void StretchEncoder::encode(std::string_view text, ByteRange stretch, bool literal,
                            std::vector<TokenSpan>& spans) const {
  std::unique_ptr<Memory> memory;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      memory = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (memory == nullptr) {
    memory = std::make_unique<Memory>();
    memory->bytes.resize(steps_.size());
    memory->prefixed.resize(std::max<std::size_t>(steps_.size(), 1));
  }
  Run(*this, *memory, text, stretch, spans).encode(literal);
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(memory));
}

}  // namespace nkat::data
