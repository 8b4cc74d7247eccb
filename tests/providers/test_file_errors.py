import pytest

from commandcenter.errors import DomainError
from commandcenter.providers.attachments import Attachment, AttachmentDetails
from commandcenter.providers.errors import (
    FileAccessDeniedError,
    FileExistsInSandboxError,
    FileNotFoundInSandboxError,
    FileRefusedError,
    NoSpaceInSandboxError,
    NotAFileError,
    ProviderRateLimitedError,
    ProviderRefusedError,
    ProviderSandboxGoneError,
    ProviderSandboxPausedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from commandcenter.providers.files import stat
from commandcenter.providers.sandboxes import Provider
from commandcenter.providers.transfers import read, write
from commandcenter.providers.watching import watch
from tests.providers.conftest import WIRED
from tests.providers.wire import (
    SANDBOX_ID,
    Answer,
    WireServer,
    answer,
    detail,
    error,
    finished,
    frame,
    never,
    stream,
)

DOWNLOAD = ("GET", "/files")
UPLOAD = ("POST", "/files")
STAT = ("POST", "/filesystem.Filesystem/Stat")
WATCH = ("POST", "/filesystem.Filesystem/WatchDir")
GONE = answer(502, {"sandboxId": SANDBOX_ID, "message": "The sandbox was not found", "code": 502})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (error(400, "path '/x' is a directory"), NotAFileError),
        (error(400, "strange path"), FileRefusedError),
        (error(401, "error looking up user 'x'"), ProviderRefusedError),
        (error(403, "no"), FileAccessDeniedError),
        (error(404, "path '/x' does not exist"), FileNotFoundInSandboxError),
        (error(413, "too large"), ProviderRefusedError),
        (error(429, "slow down"), ProviderRateLimitedError),
        (error(500, "error opening file: open /x: permission denied"), FileAccessDeniedError),
        (error(500, "oh"), ProviderUnavailableError),
        (error(502, "port is not open"), ProviderUnavailableError),
        (error(503, "busy"), ProviderUnavailableError),
        (error(504, "late"), ProviderTimeoutError),
        (error(507, "not enough disk space available"), NoSpaceInSandboxError),
        (answer(502, b"<html>"), ProviderUnavailableError),
    ],
)
async def test_a_transfer_that_is_refused_is_a_typed_error(
    wire: WireServer, wired: Attachment, given: Answer, expected: type[DomainError]
) -> None:
    wire.answers[DOWNLOAD] = wire.answers[UPLOAD] = given
    for call in (read(wired, "/x"), write(wired, "/x", b"data")):
        with pytest.raises(expected) as raised:
            await call
        assert type(raised.value) is expected


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("not_found", "file not found", FileNotFoundInSandboxError),
        ("already_exists", "directory already exists", FileExistsInSandboxError),
        ("invalid_argument", "path is a directory: /x", NotAFileError),
        ("permission_denied", "no", FileAccessDeniedError),
        ("internal", "mkdir /x: no space left on device", NoSpaceInSandboxError),
        ("internal", "oh", ProviderUnavailableError),
        ("unauthenticated", "invalid username: 'x'", ProviderRefusedError),
    ],
)
async def test_a_file_call_that_is_refused_is_a_typed_error(
    wire: WireServer, wired: Attachment, code: str, message: str, expected: type[DomainError]
) -> None:
    wire.answers[STAT] = answer(400, {"code": code, "message": message})
    wire.answers[WATCH] = stream(finished({"code": code, "message": message}))
    for call in (stat(wired, "/x"), watch(wired, "/x")):
        with pytest.raises(expected, match=message) as raised:
            await call
        assert type(raised.value) is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (error(404, "not found"), ProviderSandboxGoneError),
        (answer(200, detail("paused")), ProviderSandboxPausedError),
        (answer(200, detail("running")), ProviderUnavailableError),
    ],
)
async def test_files_of_a_sandbox_that_does_not_run_say_why(
    wire: WireServer, wired: Attachment, state: Answer, expected: type[DomainError]
) -> None:
    wire.answers[DOWNLOAD] = wire.answers[UPLOAD] = wire.answers[STAT] = wire.answers[WATCH] = GONE
    wire.answers["GET", f"/sandboxes/{SANDBOX_ID}"] = state
    for call in (read(wired, "/x"), write(wired, "/x", b""), stat(wired, "/x"), watch(wired, "/x")):
        with pytest.raises(expected):
            await call


async def test_a_provider_that_never_answers_is_given_up(wire: WireServer, impatient: Provider) -> None:
    wire.answers[DOWNLOAD] = wire.answers[STAT] = wire.answers[WATCH] = never
    attachment = impatient.attach(WIRED)
    for call in (read(attachment, "/x"), stat(attachment, "/x"), watch(attachment, "/x")):
        with pytest.raises(ProviderTimeoutError):
            await call


async def test_a_download_cut_short_is_an_error_not_a_shorter_file(
    wire: WireServer, wired: Attachment
) -> None:
    wire.answers[DOWNLOAD] = answer(206, b"half", {"content-range": "bytes 0-7/8"})
    async with await read(wired, "/x", end=8) as chunks:
        with pytest.raises(ProviderUnavailableError, match="ended before the file did"):
            [chunk async for chunk in chunks]


async def test_a_provider_without_ranges_gives_the_same_part(wire: WireServer, wired: Attachment) -> None:
    wire.answers[DOWNLOAD] = answer(200, b"0123456789")
    async with await read(wired, "/x", start=3, end=6) as chunks:
        assert (chunks.size, chunks.length) == (10, 3)
        assert b"".join([chunk async for chunk in chunks]) == b"345"


async def test_a_watch_that_ends_by_itself_is_an_error(wire: WireServer, wired: Attachment) -> None:
    wire.answers[WATCH] = stream(frame({"start": {}}), finished())
    async with await watch(wired, "/x") as changes:
        with pytest.raises(ProviderUnavailableError, match="ended by itself"):
            await anext(changes)


async def test_an_agent_too_old_for_uploads_says_what_to_do(wire_provider: Provider) -> None:
    old = wire_provider.attach(AttachmentDetails(SANDBOX_ID, "sandboxes.test", "0.5.6"))
    with pytest.raises(ProviderRefusedError, match="rebuild its template"):
        await write(old, "/x", b"")
