// SIGINT and SIGTERM: the first asks the program to stop with everything saved, the second ends it at once.
#pragma once

namespace nkat {

// From now on the first signal only sets a flag.
void install_stop_signals();
bool stop_requested();
// Throws Interrupted if a stop was requested: any function that calls this may throw it.
void throw_if_stop_requested();
// Waits for standard input. True: it has bytes to read or has ended. False: a stop was requested.
bool wait_for_standard_input();
// SIGXFSZ and SIGPIPE would kill the process; ignored, they come back as errors of write(2).
void ignore_write_signals();

}  // namespace nkat
