// The commands of this module: `nkat export` and `nkat patch`.
#pragma once

#include "core/cli/command.h"
#include "export/export_options.h"

namespace nkat::exporting {

// A trained adapter merged into its base, as a GGUF file or a Hugging Face folder.
Command make_export_command();

// An existing GGUF file with the adapter merged in. Errors: those of patch_source.h and patch.h; ConfigError if the
// output is the base itself, by whatever name.
Command make_patch_command();

// `nkat export` from a GGUF file to another: a patch of the base by itself. Errors: those of patch_source.h and patch.h.
ExitCode run_export_of_gguf(ExportOptions options);

// `nkat export --patch`, the old spelling: warns, and runs `nkat patch` with the options given to export. ConfigError
// for one that it doesn't have.
ExitCode run_patch_flag(const OptionList& given);

}  // namespace nkat::exporting
