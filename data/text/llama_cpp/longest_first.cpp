#include "data/text/llama_cpp/longest_first.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace nkat::data {
namespace {

constexpr std::string_view kSwallowed = " \t\n\v\f\r";

// Begin of each token that was taken, with its end and the token.
using Taken = std::map<std::size_t, std::pair<std::size_t, const AddedToken*>>;

bool is_free(const Taken& taken, std::size_t begin, std::size_t end) {
  const auto after = taken.lower_bound(begin);
  if (after != taken.end() && after->first < end) return false;
  return after == taken.begin() || std::prev(after)->second.first <= begin;
}

}  // namespace

LongestFirstScanner::LongestFirstScanner(std::span<const AddedToken> tokens) {
  for (const AddedToken& token : tokens) by_first_byte_[static_cast<unsigned char>(token.content[0])].push_back(&token);
}

std::vector<LongestFirstScanner::Place> LongestFirstScanner::places(std::string_view text,
                                                                    std::span<const ByteRange> literal) const {
  std::vector<Place> all;
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    for (const AddedToken* token : by_first_byte_[static_cast<unsigned char>(text[begin])]) {
      const std::size_t length = token->content.size();
      if (text.substr(begin, length) == token->content && !touches({begin, begin + length}, literal))
        all.push_back({token, begin});
    }
  }
  const auto order = [](const Place& place) {
    return std::tuple(-static_cast<std::ptrdiff_t>(place.token->content.size()), place.token->id, place.begin);
  };
  std::ranges::sort(all, {}, order);
  return all;
}

std::vector<TextPart> LongestFirstScanner::scan(std::string_view text, std::span<const ByteRange> literal) const {
  Taken taken;
  for (const Place& place : places(text, literal)) {
    std::size_t end = place.begin + place.token->content.size();
    if (!is_free(taken, place.begin, end)) continue;
    if (place.token->strip_right) {
      const auto next = taken.lower_bound(end);
      const std::size_t limit = next == taken.end() ? text.size() : next->first;
      end = std::min(text.find_first_not_of(kSwallowed, end), limit);
    }
    taken[place.begin] = {end, place.token};
  }
  std::vector<TextPart> parts;
  std::size_t done = 0;
  for (const auto& [begin, rest] : taken) {
    if (begin > done) parts.push_back({nullptr, {done, begin}});
    parts.push_back({rest.second, {begin, rest.first}});
    done = rest.first;
  }
  if (done < text.size()) parts.push_back({nullptr, {done, text.size()}});
  return parts;
}

}  // namespace nkat::data
