import json

import pytest
from pydantic import SecretStr

from commandcenter.providers.accounts import ProviderAccount, accounts_from
from commandcenter.providers.attachments import AttachmentDetails
from commandcenter.providers.errors import ProviderNotConfiguredError
from commandcenter.providers.registry import Providers
from commandcenter.settings import Settings


def settings(**values: object) -> Settings:
    unset = {"runtime_url": None, "runtime_api_key": None, "e2b_api_key": None}
    return Settings.model_validate({**unset, **values})


def test_without_keys_no_provider_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("E2B_API_KEY", "COMMANDCENTER_RUNTIME_URL", "COMMANDCENTER_RUNTIME_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    assert accounts_from(Settings()) == ()


def test_the_runtime_and_a_key_for_e2b_make_two_providers() -> None:
    accounts = accounts_from(
        settings(
            runtime_url="http://127.0.0.1:49980/",
            runtime_api_key=SecretStr("r"),
            e2b_api_key=SecretStr("e"),
        )
    )
    assert [(account.name, account.kind, account.api_url) for account in accounts] == [
        ("local", "local", "http://127.0.0.1:49980"),
        ("e2b", "e2b", None),
    ]


def test_an_sdk_that_would_only_pretend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2B_DEBUG", "True")
    with pytest.raises(ProviderNotConfiguredError, match="Unset it"):
        accounts_from(settings())


def test_a_provider_without_an_account_is_an_error_that_names_the_others() -> None:
    providers = Providers([ProviderAccount("local", "local", "key", "http://127.0.0.1:1")])
    with pytest.raises(ProviderNotConfiguredError, match=r"e2b is not configured \(configured: local\)"):
        providers.get("e2b")
    assert providers.get("local").name == "local"


def test_what_is_needed_to_attach_survives_being_stored() -> None:
    details = AttachmentDetails("id", "domain", "0.6.13", access_token="secret", traffic_token=None)
    assert AttachmentDetails.from_json(json.loads(json.dumps(details.as_json()))) == details


def test_no_secret_is_in_what_is_logged() -> None:
    account = ProviderAccount("local", "local", api_key="secret")
    details = AttachmentDetails("id", "domain", "0.6.13", access_token="secret", traffic_token="secret")
    assert "secret" not in repr(account) + repr(details)
