// The program: every command of every module, and nothing else.
#include "core/cli/command.h"
#include "core/signals.h"
#include "core/version.h"
#include "data/commands.h"
#include "export/commands.h"
#include "models/commands.h"
#include "train/commands.h"
#include "validation/commands.h"

int main(int argc, char** argv) {
  nkat::ignore_write_signals();
  return nkat::run_program("nkat", nkat::kVersion,
                           {
                               nkat::train::make_train_command(),
                               nkat::train::make_plan_command(),
                               nkat::validation::make_validate_command(),
                               nkat::validation::make_eval_command(),
                               nkat::models::make_generate_command(),
                               nkat::exporting::make_export_command(),
                               nkat::exporting::make_patch_command(),
                               nkat::data::make_data_command(),
                               nkat::data::make_inspect_command(),
                           },
                           argc, argv);
}
