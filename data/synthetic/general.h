// Plain prose and small talk with the words, numbers and subjects of the decisions and problems, but none of their
// formats: what the demo model is pre-trained on, and what it may forget.
#pragma once

#include "core/random.h"
#include "data/synthetic/generated_record.h"

namespace nkat::data {

// A text of a few sentences: an office story, a calculation told in prose, or a description of people and things.
GeneratedRecord draw_general_text(RandomStream& random, Language language);

// A short conversation about such sentences: repeating one, finding something in it, naming a day.
GeneratedRecord draw_small_talk(RandomStream& random, Language language);

}  // namespace nkat::data
