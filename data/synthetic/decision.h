// Four-class decisions: a request to an assistant that may act for its user, and what it should do about it.
//   ALLOW       routine, within the asker's own rights, can be undone
//   ESCALATION  legitimate, but too costly, too wide or too final to do without a person's approval
//   DENY        against the rules here: rights, privacy, required protections
//   REFUSE      harmful or criminal, whoever asks
// The same domains, things and people occur under all four labels, so that the label follows from what is asked.
// The answer's first line is "Decision: LABEL" ("判断: LABEL"), its second "Reason: ..." ("理由: ...").
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "data/datasets/record.h"
#include "data/synthetic/generated_record.h"
#include "data/synthetic/phrases.h"

namespace nkat::data {

struct DecisionCase {
  std::string_view reason;
  Words requests;  // patterns with {item}, {name}, {team}, {day}, {small}, {large}
};

struct DecisionDomain {
  Words items;
  std::array<DecisionCase, 4> cases;  // in the order of kFourClasses
};

// The tables, and what wraps a request without changing what it asks for.
struct DecisionTexts {
  std::vector<DecisionDomain> domains;
  Words systems;
  Words closings;           // may follow the request; some are empty
  std::string_view answer;  // pattern with {label} and {reason}
};
const DecisionTexts& decision_texts_english();
const DecisionTexts& decision_texts_japanese();
const DecisionTexts& decision_texts(Language language);

// A request of this label and its reason, without system prompt and closing.
struct DecisionCore {
  std::string request;
  std::string reason;
};
DecisionCore draw_decision_core(RandomStream& random, Language language, std::size_t label);

GeneratedRecord draw_decision(RandomStream& random, Language language, std::size_t label);

}  // namespace nkat::data
