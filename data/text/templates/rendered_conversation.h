// What a chat template makes of a conversation.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "data/text/added_tokens.h"

namespace nkat::data {

// Bytes of the text that came out of one turn's content. An empty content may leave an empty part where it was put.
struct RenderedPart {
  ByteRange bytes;
  std::size_t turn = 0;  // index
};

struct RenderedConversation {
  std::string text;
  std::vector<RenderedPart> parts;  // in the text's order, disjoint; what lies between them is the template's
};

}  // namespace nkat::data
