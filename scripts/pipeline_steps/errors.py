"""What ends a pipeline early, and the exit codes that `nkat` uses as well."""

DONE, USAGE, INPUT, MACHINE, CHECK_FAILED, STOPPED = 0, 2, 3, 4, 5, 75


class PipelineError(Exception):
    """A message for the user and the exit code that goes with it."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


class Stopped(Exception):
    """A signal came; whatever is finished is saved."""
