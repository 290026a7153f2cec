// `nkat data`: what can be done with data files. One function a subcommand; make_data_command collects them.
#pragma once

#include "core/cli/command.h"

namespace nkat::data {

Command make_data_command();
Command make_data_check_command();
Command make_data_make_command();
Command make_data_samples_command();
Command make_data_tokenize_command();

}  // namespace nkat::data
