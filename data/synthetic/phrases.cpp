#include "data/synthetic/phrases.h"

#include "core/error.h"

namespace nkat::data {

std::string fill(std::string_view pattern, const Slots& slots) {
  std::string text;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t open = pattern.find('{', at);
    text += pattern.substr(at, open - at);
    if (open == std::string_view::npos) break;
    const std::size_t close = pattern.find('}', open);
    NKAT_INVARIANT(close != std::string_view::npos);
    const auto slot = slots.find(pattern.substr(open + 1, close - open - 1));
    NKAT_INVARIANT(slot != slots.end());
    text += slot->second;
    at = close + 1;
  }
  return text;
}

std::string_view pick(RandomStream& random, const Words& words) { return words[random.below(words.size())]; }

const WordLists& word_lists(Language language) {
  static const WordLists english = {
      .names = {"Anna",  "Ben",  "Clara", "David", "Emma",  "Felix", "Grace", "Henry", "Ida",   "Jack",
                "Karen", "Leo",  "Maria", "Nina",  "Oscar", "Paul",  "Rosa",  "Simon", "Tina",  "Victor",
                "Wendy", "Yuki", "Zoe",   "Alan",  "Bella", "Carl",  "Diana", "Eric",  "Fiona", "George"},
      .teams = {"sales", "design", "support", "finance", "travel", "research", "kitchen", "legal"},
      .days = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"},
      .things = {"apples", "books", "pens", "cups", "stamps", "cards", "eggs", "coins", "chairs", "bottles"}};
  static const WordLists japanese = {
      .names = {"佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤",
                "吉田", "山田", "松本", "井上", "木村", "林",   "清水", "山口", "森",   "池田",
                "橋本", "石川", "前田", "藤田", "小川", "岡田", "村上", "青木", "坂本", "西村"},
      .teams = {"営業", "設計", "支援", "経理", "旅行", "研究", "調理", "法務"},
      .days = {"月曜日", "火曜日", "水曜日", "木曜日", "金曜日", "土曜日", "日曜日"},
      .things = {"りんご", "みかん", "卵", "あめ", "クッキー", "ボール", "コイン", "ビー玉", "石", "箱"}};
  return language == Language::kEnglish ? english : japanese;
}

}  // namespace nkat::data
