"""docs/configuration.md."""

from commandcenter.settings import Settings
from runtime.settings import RuntimeSettings
from scripts.configuration import PAGE, page


def test_the_page_says_what_the_settings_say() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_every_setting_has_a_description() -> None:
    for settings in (Settings, RuntimeSettings):
        assert [name for name, field in settings.model_fields.items() if not field.description] == []
