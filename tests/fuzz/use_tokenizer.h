// What a fuzzed vocabulary is used for once it was read.
#pragma once

#include "data/text/tokenizer.h"

namespace nkat::testing {

// Cuts a text of many kinds with and without added tokens, and puts it together again.
inline void use_tokenizer(data::TokenizerModel model) {
  const data::Tokenizer tokenizer(std::move(model));
  for (const auto added : {data::AddedTokens::kText, data::AddedTokens::kControl}) {
    const auto ids =
        tokenizer.encode_whole("  aab <|end|>\n\tabc's ABC 123 \u00E9e\u0301\u3042\u6771\u3000\U0001F999<s>a ", added);
    tokenizer.decode(ids, /*skip_special=*/true);
  }
}

}  // namespace nkat::testing
