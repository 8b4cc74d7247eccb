"""What can go wrong with a template; each message tells what to do about it."""

from runtime.host.errors import HostError


class InvalidTemplateError(HostError):
    """A name, tag or definition that can't be built."""


class TemplateTakenError(HostError):
    """The name belongs to a template that can't be built anew."""


class TemplateInUseError(HostError):
    """Sandboxes hold on to it."""


class BuildNotFoundError(HostError):
    """No such build of this template."""


class BuildLimitError(HostError):
    """As many builds at once as the settings allow."""


class UploadRefusedError(HostError):
    """An upload without a valid address, or with more than may be sent."""


class BuildFailedError(HostError):
    """A build can't go on: `step` is "base", the step's number from 1, or "finalize"."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(message)
        self.step = step
