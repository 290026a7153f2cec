// Sentence patterns with named slots, and the words that fill them in both languages.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/random.h"
#include "data/synthetic/generated_record.h"

namespace nkat::data {

using Words = std::vector<std::string_view>;
using Slots = std::map<std::string, std::string, std::less<>>;

// Replaces each "{slot}" by its value; a pattern that names a slot without a value is a bug.
std::string fill(std::string_view pattern, const Slots& slots);

std::string_view pick(RandomStream& random, const Words& words);

// Words for people, groups, days and countable things in one language.
struct WordLists {
  Words names;
  Words teams;
  Words days;
  Words things;
};
const WordLists& word_lists(Language language);

}  // namespace nkat::data
