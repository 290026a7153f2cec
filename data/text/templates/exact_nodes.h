// A parsed template (jinja/parser.h) whose nodes for names, members and filters are replaced by ones that take Python's
// methods of strings from marked_text.h, and that look built-in functions up where they are: the engine copies the whole
// table for each name and each member, which is most of a rendering's time.
#pragma once

#include <jinja/runtime.h>

namespace nkat::data {

void use_exact_nodes(jinja::program& program);

}  // namespace nkat::data
