"""Files that a template copies: sent by the SDK as archives, unpacked inside the sandbox alone."""

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from e2b import E2B, AsyncSandbox
from e2b.exceptions import BuildException
from e2b.template.main import TemplateBuilder

from tests.fixtures.runtime import RuntimeProcess


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A folder with a program, its configuration, and a folder of others."""
    (tmp_path / "app.py").write_text("print('app')\n")
    (tmp_path / "settings.json").write_text("{}\n")
    (tmp_path / "odd name ' $x.txt").write_text("odd\n")
    library = tmp_path / "lib"
    (library / "deep").mkdir(parents=True)
    (library / "one.py").write_text("1\n")
    (library / "deep" / "two.py").write_text("2\n")
    (library / "link.py").symlink_to("one.py")
    return tmp_path


@pytest.fixture
async def control(runtime: RuntimeProcess) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the control plane."""
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        yield client


async def run(sandbox: AsyncSandbox, command: str) -> str:
    return (await sandbox.commands.run(command)).stdout


async def test_copied_files_are_where_they_were_asked_for(e2b: E2B, context: Path) -> None:
    template = (
        e2b.AsyncTemplate(file_context_path=str(context))
        .from_base_image()
        .set_workdir("/srv/app")
        .copy("app.py", ".")
        .copy("app.py", "renamed.py", mode=0o700)
        .copy("settings.json", "/etc/app/", user="root")
        .copy("lib", "lib")
        .copy("*.py", "all/")
        .copy_items(
            [{"src": "odd name ' $x.txt", "dest": "/srv/app/odd"}, {"src": "lib/deep", "dest": "lib"}]
        )
    )
    await e2b.AsyncTemplate.build(template, "copied")
    sandbox = await e2b.AsyncSandbox.create("copied", timeout=60)
    listed = await run(sandbox, "find . -mindepth 1 -printf '%p %M %u %l\n' | sort")
    assert listed.splitlines() == [
        "./all drwxr-xr-x user ",
        "./all/app.py -rw-r--r-- user ",
        "./app.py -rw-r--r-- user ",
        "./lib drwxr-xr-x user ",
        "./lib/deep drwxr-xr-x user ",
        "./lib/deep/two.py -rw-r--r-- user ",
        "./lib/link.py lrwxrwxrwx user one.py",
        "./lib/one.py -rw-r--r-- user ",
        "./lib/two.py -rw-r--r-- user ",
        "./odd -rw-r--r-- user ",
        "./renamed.py -rwx------ user ",
    ]
    assert await run(sandbox, "stat -c %U /etc/app /etc/app/settings.json") == "root\nroot\n"
    assert await run(sandbox, "ls -A / | grep build || true") == ""
    await sandbox.kill()


async def test_copied_folders_are_merged_into_those_that_are_there(e2b: E2B, context: Path) -> None:
    template = (
        e2b.AsyncTemplate(file_context_path=str(context))
        .from_base_image()
        .run_cmd("mkdir -p there/deep && echo mine > there/deep/mine && echo old > there/one.py")
        .run_cmd("mkdir elsewhere && ln -s ~/elsewhere ~/linked")
        .copy("lib", "there")
        .copy("lib", "linked")
    )
    await e2b.AsyncTemplate.build(template, "merged")
    sandbox = await e2b.AsyncSandbox.create("merged", timeout=60)
    assert await run(sandbox, "ls there there/deep; cat there/one.py; ls elsewhere") == (
        "there:\ndeep\nlink.py\none.py\n\nthere/deep:\nmine\ntwo.py\n1\ndeep\nlink.py\none.py\n"
    )
    await sandbox.kill()


async def test_files_are_sent_once(e2b: E2B, context: Path) -> None:
    def template() -> TemplateBuilder:
        return e2b.AsyncTemplate(file_context_path=str(context)).from_base_image().copy("app.py", "/opt/")

    told: list[str] = []
    await e2b.AsyncTemplate.build(template(), "sent", on_build_logs=lambda each: told.append(each.message))
    await e2b.AsyncTemplate.build(template(), "sent", on_build_logs=lambda each: told.append(each.message))
    assert [each for each in told if "pload" in each and "app.py" in each] == [
        "Uploaded 'app.py'",
        "Skipping upload of 'app.py', already cached",
    ]
    (context / "app.py").write_text("print('changed')\n")
    await e2b.AsyncTemplate.build(template(), "sent")
    sandbox = await e2b.AsyncSandbox.create("sent", timeout=60)
    assert await run(sandbox, "cat /opt/app.py") == "print('changed')\n"
    await sandbox.kill()


async def test_an_archive_reaches_nothing_outside_the_sandbox(
    e2b: E2B, control: httpx.AsyncClient, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    outside = tmp_path / "outside"
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in (f"../../../..{outside}", str(outside)):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"evil"))
        link = tarfile.TarInfo("way-out")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
    asked = (await control.post("/v3/templates", json={"name": "hostile"})).json()
    files = await control.get(f"/templates/{asked['templateID']}/files/{'a' * 64}")
    assert (await control.put(files.json()["url"], content=packed.getvalue())).status_code == 200
    steps = [{"type": "COPY", "args": ["way-out", "/srv/"], "filesHash": "a" * 64}]
    path = f"/v2/templates/{asked['templateID']}/builds/{asked['buildID']}"
    assert (await control.post(path, json={"fromImage": "base", "steps": steps})).status_code == 202
    status = "building"
    while status == "building":
        status = (await control.get(f"{path.removeprefix('/v2')}/status")).json()["status"]
    assert not outside.exists()


async def test_files_that_were_never_sent_are_missed(control: httpx.AsyncClient) -> None:
    asked = (await control.post("/v3/templates", json={"name": "unsent"})).json()
    steps = [{"type": "COPY", "args": ["a", "/srv/"], "filesHash": "b" * 64}]
    path = f"/templates/{asked['templateID']}/builds/{asked['buildID']}"
    await control.post(f"/v2{path}", json={"fromImage": "base", "steps": steps})
    status = (await control.get(f"{path}/status")).json()
    while status["status"] == "building":
        status = (await control.get(f"{path}/status")).json()
    assert "the files of 'COPY a /srv/' are not here" in status["reason"]["message"]
    assert status["reason"]["step"] == "1"


async def test_an_address_to_send_files_to_is_for_these_files_alone(control: httpx.AsyncClient) -> None:
    asked = (await control.post("/v3/templates", json={"name": "signed"})).json()
    url = (await control.get(f"/templates/{asked['templateID']}/files/{'c' * 64}")).json()["url"]
    for changed in (url.replace("c" * 64, "d" * 64), url.replace("team=", "team=x"), url[:-1]):
        assert (await control.put(changed, content=b"x")).status_code == 400
    assert (await control.get(f"/templates/{asked['templateID']}/files/nothash")).status_code == 400


async def test_a_source_that_is_missing_is_named(e2b: E2B, context: Path) -> None:
    template = e2b.AsyncTemplate(file_context_path=str(context)).from_base_image().copy("app.py", "/proc/no")
    with pytest.raises(BuildException, match=r"failed to copy 'app.py' to '/proc/no'"):
        await e2b.AsyncTemplate.build(template, "bad-target")
