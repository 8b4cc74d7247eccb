"""What is stored of one command is bounded: a gap says where it stops, and the rest is told as ever."""

from tests.fixtures.product import Product, Project
from tests.logs.reading import Reader

MEBIBYTE = 1 << 20


async def test_output_beyond_its_bound_is_a_gap_and_the_end_is_still_told(
    product: Product, project: Project
) -> None:
    reading = project.client(web=1)
    async with (
        product.another_web_process(COMMANDCENTER_MOST_OUTPUT_MB="1") as web,
        reading.sandbox() as sandbox_id,
    ):
        client = project.client_of(web)
        flood = await client.start(sandbox_id, "head -c 8M /dev/zero; echo over >&2; exit 3")
        reader = Reader()
        await reader.read_execution(reading, flood)
        ended = await reading.ended(flood)
    assert (ended["status"], ended["exitCode"], ended["stdoutBytes"]) == ("FAILED", 3, 8 * MEBIBYTE)
    assert reader.only("STDERR") == b"over\n"
    (gap,) = reader.gaps
    assert (gap["stream"], gap["fromOffset"], gap["toOffset"]) == ("STDOUT", len(reader.only("STDOUT")), None)
    assert MEBIBYTE <= gap["fromOffset"] < 2 * MEBIBYTE
    assert "COMMANDCENTER_MOST_OUTPUT_MB" in gap["reason"]
