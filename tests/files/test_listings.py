from tests.files.transfers import names_below
from tests.fixtures.client import Client


async def test_a_listing_goes_as_deep_as_asked(client: Client, sandbox_id: str, folder: str) -> None:
    await client.run(
        sandbox_id,
        "mkdir -p a/b/c b && touch a/b/c/deep a-file b/x && ln -s a link && mkfifo pipe",
        cwd=folder,
    )
    assert await names_below(client, sandbox_id, folder, 1) == ["a", "a-file", "b", "link", "pipe"]
    assert await names_below(client, sandbox_id, folder, 2) == [
        "a",
        "a/b",
        "a-file",
        "b",
        "b/x",
        "link",
        "pipe",
    ]
    shown = await client.show(sandbox_id, f'files(path: "{folder}", depth: 10) {{ name kind }}')
    assert {entry["name"]: entry["kind"] for entry in shown["files"]} == {
        "a": "DIRECTORY",
        "b": "DIRECTORY",
        "c": "DIRECTORY",
        "deep": "FILE",
        "a-file": "FILE",
        "x": "FILE",
        "link": "SYMLINK",
        "pipe": "OTHER",
    }


async def test_more_entries_than_one_answer_holds_come_in_pages(
    client: Client, sandbox_id: str, folder: str
) -> None:
    await client.run(sandbox_id, "seq 1 3000 | xargs touch", cwd=folder)
    document = "query($id: ID!, $path: String!) { sandbox(id: $id) { files(path: $path) { name } } }"
    [error] = await client.errors(document, id=sandbox_id, path=folder)
    assert (error.code, error.path) == ("INVALID", ("sandbox", "files"))
    assert "limit" in error.message

    document = (
        "query($id: ID!, $path: String!, $after: String) "
        "{ sandbox(id: $id) { files(path: $path, limit: 1400, after: $after) { name path } } }"
    )
    names: list[str] = []
    after = None
    sizes: list[int] = []
    while not sizes or sizes[-1]:
        page = (await client.query(document, id=sandbox_id, path=folder, after=after))["sandbox"]["files"]
        names += [entry["name"] for entry in page]
        sizes.append(len(page))
        after = page[-1]["path"] if page else None
    assert sizes == [1400, 1400, 200, 0]
    assert names == sorted(str(number) for number in range(1, 3001))


async def test_a_directory_too_large_to_look_through_is_said_to_be(
    client: Client, sandbox_id: str, folder: str
) -> None:
    await client.run(sandbox_id, "seq -f '%0240.0f' 1 9000 | xargs touch", cwd=folder)
    [error] = await client.errors(
        "query($id: ID!, $path: String!) { sandbox(id: $id) { files(path: $path, limit: 1) { name } } }",
        id=sandbox_id,
        path=folder,
    )
    assert error.code == "INVALID"
    assert "too large" in error.message
