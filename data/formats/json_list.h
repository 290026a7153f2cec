// One JSON list, `[` value `,` ... `]`, over any number of lines (RFC 8259): its elements one after the other, so that a
// list costs the memory of its largest element.
//
// An element ends where its brackets close; whether it is JSON is its parser's to say. No JSON string holds a line break:
// one ends an open string, and an object below it is the next element, so that a lost quote costs no further record. What breaks the list
// itself is an error of its own or of the element before: a comma that is missing or stands before `]`, an end of the
// file before `]`, text behind it.
#pragma once

#include "data/formats/record_source.h"

namespace nkat::data {

class JsonListReader : public RecordSource {
 public:
  // The file's rest() begins with `[`, after white space and a byte-order mark at most.
  explicit JsonListReader(ChunkedFile file) : RecordSource(std::move(file)) {}

  std::optional<RecordText> next() override;

 private:
  enum class State { kBefore, kFirst, kAfterComma, kAfterElement, kEnd };
  std::optional<char> peek();  // the next byte that is no white space, not taken
  RecordText take_element();
  std::string error_of_element(bool closed, bool too_long) const;
  std::optional<RecordText> close_list();
  RecordText broken(std::string_view wanted, std::string_view found);

  State state_ = State::kBefore;
  std::int64_t number_ = 0;
  std::int64_t line_ = 1;
  std::string text_;
};

}  // namespace nkat::data
