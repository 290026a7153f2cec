#include "data/synthetic/general.h"

#include <fmt/format.h>

#include "data/synthetic/decision.h"
#include "data/synthetic/phrases.h"
#include "data/synthetic/word_problem.h"

namespace nkat::data {
namespace {

// The patterns, by language.
struct GeneralTexts {
  Words office_stories;  // {request}, {reason}, {label}, {name}, {other}, {team}, {day}
  Words calculations;    // {question}, {steps}, {name}
  Words descriptions;    // {name}, {other}, {team}, {day}, {things}, {n}, {m}, {sum}, {next}
  std::string_view step_separator;
  std::string_view sentence_separator;
  struct Exchange {
    std::string_view user;
    std::string_view assistant;
  };
  std::vector<Exchange> exchanges;  // also {sentence}
};

const GeneralTexts& english_texts() {
  static const GeneralTexts english = {
      .office_stories =
          {"On {day} {name} asked the office: \"{request}\" People there thought about it for a while. {reason}",
           "{name} works in the {team} team and tells a story. Somebody wrote: \"{request}\" The answer was short, "
           "and {other} wrote it on the wall: {reason}",
           "\"{request}\" {other} read this to {name} on {day}. {reason} The rule book has a word for it, and the "
           "word is {label}.",
           "The word {label} stands in the rule book of {name}. {reason} The example beside it says: \"{request}\"",
           "{name} turned the page. \"{request}\" it said, and below it in small letters {label}. {reason} Then "
           "{other} closed the book."},
      .calculations = {"{question} {name} found it on {day}: {steps}.",
                       "The old school book has many pages. On one it says: {question} {steps}. On the next page "
                       "there is a picture.",
                       "{question} \"{steps},\" said {name}.", "{steps}",
                       "{steps}. That was the answer to the question: {question}"},
      .descriptions = {"{name} works in the {team} team.", "{name} and {other} meet on {day}.",
                       "{name} has {n} {things}, {other} has {m}, and together they have {sum}.",
                       "{n} plus {m} is {sum}.", "{n} + {m} = {sum}.", "{sum} - {m} = {n}.",
                       "After {day} comes {next}.", "{other} gave {name} {n} {things} on {day}.",
                       "The {team} team has {n} chairs and {m} {things}.",
                       "{name} likes {things}, but {other} does not.",
                       "{name} lives in house number {n} and {other} in number {m}.",
                       "House # {n} belongs to {name}, house # {m} to {other}.",
                       "{name} had to make a decision on {day} and gave a short reason for it.",
                       "The Decision of {name} was good, and the Reason was simple.",
                       "{name} guards the door of the company and judges each request with one word.",
                       "Some requests may be carried out and others may not, {name} explained in one sentence.",
                       "{name} solved the problem step by step and wrote the result, {n}, on the last line.",
                       "Show each step of the calculation, said {name}, and end with the number alone."},
      .step_separator = ", then ",
      .sentence_separator = " ",
      .exchanges = {{"Please repeat this sentence: {sentence}", "{sentence}"},
                    {"Say it once more: {sentence}", "You said: {sentence}"},
                    {"Hello, I am {name} from the {team} team.", "Hello {name}, how is the {team} team?"},
                    {"Which day comes after {day}?", "After {day} comes {next}."},
                    {"{name} works in the {team} team and {other} likes {things}. Where does {name} work?",
                     "{name} works in the {team} team."},
                    {"{name} has {n} {things} and {other} has {m}. Who has {m}?", "{other} has {m} {things}."},
                    {"Tell me something about {name} and {other}.", "{name} and {other} meet on {day}."}}};
  return english;
}

const GeneralTexts& japanese_texts() {
  static const GeneralTexts japanese = {
      .office_stories = {"{day}に{name}さんが事務所に聞きました。「{request}」みんなはしばらく考えました。{reason}",
                         "{team}部の{name}さんの話です。だれかが書きました。「{request}」返事は短く、{other}さんが"
                         "壁に書きました。{reason}",
                         "「{request}」と{other}さんが{day}に{name}さんに読みました。{reason}規則の本ではこれを"
                         "{label}と呼びます。",
                         "{name}さんの規則の本に{label}という言葉があります。{reason}横の例は「{request}」です。",
                         "{name}さんは頁をめくりました。「{request}」とあり、下に小さく{label}とありました。{reason}"
                         "{other}さんは本を閉じました。"},
      .calculations = {"{question}{name}さんは{day}に求めました。{steps}です。",
                       "古い教科書にたくさんの頁があります。ある頁にはこうあります。{question}{steps}。次の頁には絵が"
                       "あります。",
                       "{question}「{steps}」と{name}さんが言いました。", "{steps}",
                       "{steps}。これが次の問いの答えでした。{question}"},
      .descriptions = {"{name}さんは{team}部で働いています。", "{name}さんと{other}さんは{day}に会います。",
                       "{name}さんは{things}を{n}個、{other}さんは{m}個持っていて、合わせて{sum}個です。",
                       "{n}足す{m}は{sum}です。", "{n} + {m} = {sum}。", "{sum} - {m} = {n}。",
                       "{day}の次は{next}です。", "{other}さんは{day}に{name}さんに{things}を{n}個あげました。",
                       "{team}部には椅子が{n}個と{things}が{m}個あります。",
                       "{name}さんは{things}が好きですが、{other}さんは好きではありません。",
                       "{name}さんの家は{n}番、{other}さんの家は{m}番です。",
                       "# {n} は{name}さんの家、# {m} は{other}さんの家です。",
                       "{name}さんは{day}に判断し、短い理由を書きました。", "{name}さんの判断には理由がありました。",
                       "会社の助手を見守る{name}さんは、依頼ごとに一つの言葉で答えます。",
                       "実行してよい依頼とそうでない依頼がある、と{name}さんは一文で説明しました。",
                       "{name}さんの思考には三つのステップがあり、最終回答は{n}でした。",
                       "計算の過程を順に示し、最後の行に答えの数だけを書くように、と{name}さんは言いました。"},
      .step_separator = "、次に",
      .sentence_separator = "",
      .exchanges = {{"この文を繰り返してください。{sentence}", "{sentence}"},
                    {"もう一度言ってください。{sentence}", "こう言いました。{sentence}"},
                    {"こんにちは、{team}部の{name}です。", "こんにちは、{name}さん。{team}部はどうですか。"},
                    {"{day}の次は何曜日ですか。", "{day}の次は{next}です。"},
                    {"{name}さんは{team}部で働き、{other}さんは{things}が好きです。{name}さんはどこで働いていますか。",
                     "{name}さんは{team}部で働いています。"},
                    {"{name}さんは{things}を{n}個、{other}さんは{m}個持っています。{m}個持っているのは誰ですか。",
                     "{other}さんは{things}を{m}個持っています。"},
                    {"{name}さんと{other}さんについて教えてください。", "{name}さんと{other}さんは{day}に会います。"}}};
  return japanese;
}

const GeneralTexts& general_texts(Language language) {
  return language == Language::kEnglish ? english_texts() : japanese_texts();
}

// People, groups, days and two numbers that belong together.
Slots draw_slots(RandomStream& random, Language language) {
  const WordLists& words = word_lists(language);
  const std::size_t day = random.below(words.days.size());
  const std::size_t name = random.below(words.names.size());
  const std::size_t other = (name + 1 + random.below(words.names.size() - 1)) % words.names.size();
  const std::uint64_t n = 2 + random.below(98), m = 2 + random.below(98);
  return {{"name", std::string(words.names[name])},
          {"other", std::string(words.names[other])},
          {"team", std::string(pick(random, words.teams))},
          {"day", std::string(words.days[day])},
          {"next", std::string(words.days[(day + 1) % words.days.size()])},
          {"things", std::string(pick(random, words.things))},
          {"n", std::to_string(n)},
          {"m", std::to_string(m)},
          {"sum", std::to_string(n + m)}};
}

std::string describe(RandomStream& random, Language language, const Slots& slots) {
  return fill(pick(random, general_texts(language).descriptions), slots);
}

// A text, and the key of the request or problem that it tells of: a text about a held-out request is held out too.
struct KeyedText {
  std::string key;
  std::string text;
};

KeyedText office_story(RandomStream& random, Language language, Slots slots) {
  const std::size_t label = random.below(kFourClasses.size());
  const DecisionCore core = draw_decision_core(random, language, label);
  slots["request"] = core.request;
  slots["reason"] = core.reason;
  slots["label"] = std::string(kFourClasses[label]);
  return {core.request, fill(pick(random, general_texts(language).office_stories), slots)};
}

KeyedText calculation(RandomStream& random, Language language, Slots slots) {
  const GeneralTexts& texts = general_texts(language);
  const WordedProblem worded = draw_worded_problem(random, language);
  slots["question"] = worded.question;
  slots["steps"] = worded.formula;
  const std::string_view separator = random.below(2) == 0 ? "\n" : texts.step_separator;
  for (const std::string& step : worded.problem.steps) {
    if (!slots["steps"].empty()) slots["steps"] += separator;
    slots["steps"] += step;
  }
  return {problem_key(worded.problem), fill(pick(random, texts.calculations), slots)};
}

KeyedText description(RandomStream& random, Language language, const Slots& slots) {
  const GeneralTexts& texts = general_texts(language);
  std::string text = describe(random, language, slots);
  const std::uint64_t more = random.below(3);
  for (std::uint64_t i = 0; i < more; ++i) {
    text += random.below(2) == 0 ? "\n" : texts.sentence_separator;
    text += describe(random, language, slots);
  }
  return {text, text};
}

}  // namespace

GeneratedRecord draw_general_text(RandomStream& random, Language language) {
  const Slots slots = draw_slots(random, language);
  const std::uint64_t kind = random.below(5);
  KeyedText keyed = kind < 2   ? office_story(random, language, slots)
                    : kind < 4 ? calculation(random, language, slots)
                               : description(random, language, slots);
  GeneratedRecord record;
  record.key = std::move(keyed.key);
  record.text = std::move(keyed.text);
  record.task = "general";
  record.language = language;
  return record;
}

GeneratedRecord draw_small_talk(RandomStream& random, Language language) {
  const GeneralTexts& texts = general_texts(language);
  Slots slots = draw_slots(random, language);
  const bool about_request = random.below(2) == 0;
  slots["sentence"] = about_request ? draw_decision_core(random, language, random.below(kFourClasses.size())).request
                                    : describe(random, language, slots);
  const GeneralTexts::Exchange& exchange = texts.exchanges[random.below(texts.exchanges.size())];
  GeneratedRecord record;
  record.user = fill(exchange.user, slots);
  record.answer = fill(exchange.assistant, slots);
  // A repeated request is told; of the other exchanges the first words are all there is.
  record.key = exchange.user.find("{sentence}") == std::string_view::npos ? record.user : slots["sentence"];
  record.task = "small-talk";
  record.language = language;
  return record;
}

}  // namespace nkat::data
