"""What can go wrong with files, beyond what a sandbox's own file system refuses (`providers.errors`)."""

from commandcenter.errors import ConflictError, InvalidError, NotFoundError


class ListingTooLongError(InvalidError):
    """A listing would hold more entries than one answer may."""

    def __init__(self, path: str, most: int) -> None:
        super().__init__(
            f"There are more than {most} entries below {path}. Ask for them in pages: give limit, and then "
            "as after the path of the last entry that you got.",
            ("limit",),
        )


class DestinationExistsError(ConflictError):
    """There is something at the new path of a move already."""

    def __init__(self, destination: str) -> None:
        super().__init__(
            f"There is something at {destination} already. Choose another destination, or overwrite it.",
            ("destination",),
        )


class UnknownFileLinkError(NotFoundError):
    """A link to a file that is no link of ours, or whose key is not valid any more."""

    def __init__(self) -> None:
        super().__init__("There is no such file. Ask the API for its downloadUrl.")


class ExpiredFileLinkError(NotFoundError):
    """A link to a file that was ours, and whose time is over."""

    def __init__(self) -> None:
        super().__init__("This link has expired. Ask the API for a new downloadUrl.")
