// `nkat data make`: the synthetic sets of data/generators as JSONL.
#pragma once

#include "core/command.h"

namespace nkat::data {

Command make_data_make_command();

}  // namespace nkat::data
