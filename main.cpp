// The program: every command of every room, and nothing else.
#include "core/command.h"
#include "core/signals.h"
#include "data/data_command.h"

int main(int argc, char** argv) {
  nkat::ignore_write_signals();
  return nkat::run_program("nkat", NKAT_VERSION, {nkat::data::make_data_command()}, argc, argv);
}
