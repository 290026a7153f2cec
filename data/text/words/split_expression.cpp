#include "data/text/words/split_expression.h"

#include <pcre2.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/utf8.h"
#include "data/text/words/split_expression_reader.h"

namespace nkat::data {
namespace {

constexpr std::size_t kFirstStack = 32 << 10;
constexpr std::size_t kLargestStack = 16 << 20;

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};

// What a search needs besides the expression; every thread has its own.
struct SearchMemory {
  std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>> match{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>> context{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, Freed<pcre2_jit_stack_free>> stack{
      pcre2_jit_stack_create(kFirstStack, kLargestStack, nullptr)};

  SearchMemory() {
    if (!match || !context || !stack) throw DeviceError("no memory is left to search a text by an expression");
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

SearchMemory& search_memory() {
  static thread_local SearchMemory memory;
  return memory;
}

std::string pcre2_message(int error) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

const auto* as_pcre2(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct SplitExpression::Compiled {
  std::unique_ptr<pcre2_code, Freed<pcre2_code_free>> code;
  bool is_jit = false;
};

SplitExpression::SplitExpression(std::string_view expression, const std::string& source)
    : compiled_(std::make_unique<Compiled>()) {
  ByteExpression read = read_split_expression(expression, source);
  bytes_ = std::move(read.bytes);
  const std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context_free>> context(
      pcre2_compile_context_create(nullptr));
  if (!context) throw DeviceError("no memory is left to read an expression");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE place = 0;
  compiled_->code.reset(pcre2_compile(as_pcre2(read.pattern), read.pattern.size(), PCRE2_MULTILINE | PCRE2_NEVER_UTF,
                                      &error, &place, context.get()));
  if (!compiled_->code) {
    throw FormatError(
        fmt::format("{}: the expression '{}' can't be used: {}", source, ellipsize(expression), pcre2_message(error)));
  }
  compiled_->is_jit = pcre2_jit_compile(compiled_->code.get(), PCRE2_JIT_COMPLETE) == 0;
}

SplitExpression::SplitExpression(SplitExpression&&) noexcept = default;
SplitExpression::~SplitExpression() = default;

void SplitExpression::to_bytes(std::string_view utf8, std::string& bytes) const {
  bytes.resize(utf8.size());
  std::size_t count = 0;
  for (std::size_t place = 0; place < utf8.size();) {
    const DecodedCodePoint point = decode_valid_code_point(utf8, place);
    bytes[count++] = static_cast<char>(bytes_[point.value]);
    place += point.length;
  }
  bytes.resize(count);
}

std::optional<ByteRange> SplitExpression::find(std::string_view bytes, std::size_t from) const {
  SearchMemory& memory = search_memory();
  const auto search = compiled_->is_jit ? pcre2_jit_match : pcre2_match;
  const int found =
      search(compiled_->code.get(), as_pcre2(bytes), bytes.size(), from, 0, memory.match.get(), memory.context.get());
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0) {
    throw DataError(fmt::format("the tokenizer's expression can't cut this text of {} characters: {}", bytes.size(),
                                pcre2_message(found)));
  }
  const PCRE2_SIZE* place = pcre2_get_ovector_pointer(memory.match.get());
  return ByteRange{place[0], place[1]};
}

}  // namespace nkat::data
