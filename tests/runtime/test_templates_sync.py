"""The main way of templates through the SDK's synchronous side."""

from pathlib import Path

from e2b import E2B, wait_for_file


def test_a_template_is_built_tagged_and_used(e2b: E2B, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('in turn')\n")
    told: list[str] = []
    template = (
        e2b.Template(file_context_path=str(tmp_path))
        .from_base_image()
        .set_workdir("/srv/app")
        .copy("app.py", ".")
        .run_cmd("python3 app.py > said")
        .set_start_cmd("touch ~/up; sleep 60", wait_for_file("/home/user/up"))
    )
    built = e2b.Template.build(
        template, "made-in-turn:v1", tags=["stable"], on_build_logs=lambda entry: told.append(entry.message)
    )
    assert "Uploaded 'app.py'" in told
    assert "Build finished" in told
    assert e2b.Template.exists("made-in-turn")
    assert e2b.Template.assign_tags("made-in-turn:v1", "default").build_id == built.build_id
    assert {tag.tag for tag in e2b.Template.get_tags("made-in-turn")} == {"v1", "stable", "default"}
    e2b.Template.remove_tags("made-in-turn", ["stable"])
    with e2b.Sandbox.create("made-in-turn", timeout=60) as sandbox:
        assert sandbox.commands.run("cat said; ls ~").stdout == "in turn\nup\n"
        sandbox.kill()


def test_a_build_in_the_background_ends(e2b: E2B) -> None:
    template = e2b.Template().from_base_image().run_cmd("echo done; : by the synchronous SDK")
    built = e2b.Template.build_in_background(template, "in-the-background")
    told: list[str] = []
    status = e2b.Template.get_build_status(built)
    while status.status.value != "ready":
        told += [entry.message for entry in status.log_entries]
        status = e2b.Template.get_build_status(built, logs_offset=len(told))
    told += [entry.message for entry in status.log_entries]
    assert "[builder 1/1] [stdout]: done" in told
