#include "data/text/words/split_expression.h"

#include <algorithm>
#include <ctime>
#include <pcre2.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/utf8.h"
#include "data/text/words/split_expression_reader.h"

namespace nkat::data {
namespace {

constexpr std::size_t kFirstStack = 32 << 10;
constexpr std::size_t kLargestStack = 16 << 20;
// Known expressions need 0.2 s a million characters.
constexpr double kSecondsPerText = 5;
constexpr double kSecondsPerByte = 2e-6;
// Searches between two looks at the clock, and the places at which one search may begin: each may cost PCRE2's limit of
// steps, some hundredths of a second.
constexpr unsigned kSearchesPerLook = 256;
constexpr std::size_t kPlacesPerSearch = 256;

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

double thread_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

const auto* as_pcre2(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

SearchBudget SearchBudget::for_text(std::size_t bytes) {
  return SearchBudget(kSecondsPerText + kSecondsPerByte * static_cast<double>(bytes));
}

bool SearchBudget::allows_another(Look look) {
  if (++searches_ % kSearchesPerLook != 0 && look == Look::kNowAndThen) return true;
  const double now = thread_seconds();
  if (end_ == 0) end_ = now + seconds_;
  return now < end_;
}

struct SplitExpression::Compiled {
  std::unique_ptr<pcre2_code, Freed<pcre2_code_free>> code;
  bool is_jit = false;
};

SplitExpression::SplitExpression(std::string_view expression, const std::string& source)
    : source_(source), expression_(ellipsize(expression)), compiled_(std::make_unique<Compiled>()) {
  ByteExpression read = read_split_expression(expression, source);
  bytes_ = std::move(read.bytes);
  const std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context_free>> context(
      pcre2_compile_context_create(nullptr));
  if (!context) throw DeviceError("no memory is left to read an expression");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE place = 0;
  compiled_->code.reset(pcre2_compile(as_pcre2(read.pattern), read.pattern.size(),
                                      PCRE2_MULTILINE | PCRE2_NEVER_UTF | PCRE2_USE_OFFSET_LIMIT, &error, &place,
                                      context.get()));
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

std::optional<ByteRange> SplitExpression::find(std::string_view bytes, std::size_t from, SearchBudget& budget) const {
  SearchMemory& memory = search_memory();
  const auto search = compiled_->is_jit ? pcre2_jit_match : pcre2_match;
  int found = PCRE2_ERROR_NOMATCH;
  auto look = SearchBudget::Look::kNowAndThen;
  for (; found == PCRE2_ERROR_NOMATCH && from <= bytes.size(); from += kPlacesPerSearch) {
    if (!budget.allows_another(look)) give_up(bytes.size(), "too much time");
    pcre2_set_offset_limit(memory.context.get(), std::min(from + kPlacesPerSearch - 1, bytes.size()));
    look = SearchBudget::Look::kAtOnce;
    found =
        search(compiled_->code.get(), as_pcre2(bytes), bytes.size(), from, 0, memory.match.get(), memory.context.get());
  }
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found == PCRE2_ERROR_MATCHLIMIT) give_up(bytes.size(), "too many steps");
  if (found < 0) give_up(bytes.size(), "too much memory");
  const PCRE2_SIZE* place = pcre2_get_ovector_pointer(memory.match.get());
  return ByteRange{place[0], place[1]};
}

void SplitExpression::give_up(std::size_t characters, std::string_view what) const {
  throw DataError(fmt::format("{}: the expression '{}' needs {} to cut a text of {} characters; shorter texts may do",
                              source_, expression_, what, characters));
}

}  // namespace nkat::data
