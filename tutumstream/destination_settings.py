"""Who is told, and how to reach them: the part of the environment that is about destinations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr, field_validator

from tutumstream.event import OBJECT_TYPES
from tutumstream.net.address import Address
from tutumstream.notifiers.elasticsearch_access import authorization, server
from tutumstream.notifiers.elasticsearch_index import DEFAULT, IndexName
from tutumstream.notifiers.signature import signing_key


@dataclass(frozen=True, slots=True)
class PagerDutySettings:
    """Where and how to page. `url` "" is PagerDuty's own."""

    key: SecretStr
    api: Literal["v1", "v2"]
    url: str
    on_delete: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    url: SecretStr
    secret: SecretStr | None


@dataclass(frozen=True, slots=True)
class ElasticsearchSettings:
    """Where to store events. `authorization` is a whole header, "" where the URL has user and password or none."""

    url: SecretStr
    index: IndexName
    authorization: SecretStr


def _list(value: object) -> object:
    return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _fit_for(take: Callable[[str], object]) -> AfterValidator:
    """Text stays what it is, as long as the one who needs it can take it."""

    def check(value: str | SecretStr) -> str | SecretStr:
        take(value.get_secret_value() if isinstance(value, SecretStr) else value)
        return value

    return AfterValidator(check)


def _one_word(value: str) -> None:
    if not value.isascii() or len(value.split()) > 1:
        raise ValueError("a key is one word of ASCII characters, without spaces")


SecretUrl = Annotated[SecretStr, _fit_for(Address.parse)]


class DestinationVariables(BaseModel):
    """The variables, typed. Only those that are set are checked."""

    SLACK_URL: SecretUrl | None = None
    PAGERDUTY_KEY: Annotated[SecretStr, _fit_for(_one_word)] | None = None
    PAGERDUTY_API: Annotated[Literal["v1", "v2"], BeforeValidator(_lower)] | None = None
    PAGERDUTY_URL: Annotated[str, _fit_for(Address.parse)] = ""
    PAGERDUTY_ON_DELETE: Annotated[tuple[str, ...], BeforeValidator(_list)] = ()
    WEBHOOK_URL: SecretUrl | None = None
    WEBHOOK_SECRET: Annotated[SecretStr, _fit_for(signing_key)] | None = None
    ELASTICSEARCH_URL: Annotated[SecretStr, _fit_for(server)] | None = None
    ELASTICSEARCH_API_KEY: Annotated[SecretStr, _fit_for(authorization)] | None = None
    ELASTICSEARCH_INDEX: Annotated[str, _fit_for(IndexName)] = DEFAULT

    @field_validator("PAGERDUTY_ON_DELETE")
    @classmethod
    def _types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - OBJECT_TYPES):
            raise ValueError(f"{', '.join(unknown)}: there are only {', '.join(sorted(OBJECT_TYPES))}")
        return value

    def pagerduty(self) -> PagerDutySettings | None:
        """None where it is not set."""
        if self.PAGERDUTY_KEY is None:
            return None
        api = self.PAGERDUTY_API or _api_of(self.PAGERDUTY_URL) or "v1"
        return PagerDutySettings(self.PAGERDUTY_KEY, api, self.PAGERDUTY_URL, self.PAGERDUTY_ON_DELETE)

    def webhook(self) -> WebhookSettings | None:
        """None where it is not set."""
        return None if self.WEBHOOK_URL is None else WebhookSettings(self.WEBHOOK_URL, self.WEBHOOK_SECRET)

    def elasticsearch(self) -> ElasticsearchSettings | None:
        """None where it is not set."""
        if self.ELASTICSEARCH_URL is None:
            return None
        key = self.ELASTICSEARCH_API_KEY
        header = "" if key is None else authorization(key.get_secret_value())
        return ElasticsearchSettings(self.ELASTICSEARCH_URL, IndexName(self.ELASTICSEARCH_INDEX), SecretStr(header))


def misfits(known: Mapping[str, str]) -> list[str]:
    """Mistakes that concern two variables; `known` holds those that are set."""
    needs = {
        "WEBHOOK_SECRET": ("WEBHOOK_URL", "to sign for"),
        "PAGERDUTY_ON_DELETE": ("PAGERDUTY_KEY", "to page with"),
        "PAGERDUTY_URL": ("PAGERDUTY_KEY", "to page with"),
        "ELASTICSEARCH_API_KEY": ("ELASTICSEARCH_URL", "to use it at"),
        "ELASTICSEARCH_INDEX": ("ELASTICSEARCH_URL", "to store at"),
    }
    found = [
        f"{name}: there is no {other} {purpose}"
        for name, (other, purpose) in needs.items()
        # What is wrong with the other's file is told on its own.
        if name in known and other not in known and f"{other}_FILE" not in known
    ]
    theirs, wanted = _api_of(known.get("PAGERDUTY_URL", "")), known.get("PAGERDUTY_API", "").lower()
    if theirs and wanted in {"v1", "v2"} - {theirs}:
        found.append(f"PAGERDUTY_API: at PAGERDUTY_URL is {theirs}")
    if "ELASTICSEARCH_API_KEY" in known and _has_password(known.get("ELASTICSEARCH_URL", "")):
        found.append("ELASTICSEARCH_API_KEY: ELASTICSEARCH_URL holds user and password; set only one of them")
    return found


def _api_of(url: str) -> Literal["v1", "v2"] | None:
    """The Events API that PagerDuty has under this path; None for any other."""
    # It may be no URL at all; that is told by its own check.
    path = url.partition("?")[0].rstrip("/")
    return "v2" if path.endswith("/v2/enqueue") else "v1" if path.endswith("/create_event.json") else None


def _has_password(url: str) -> bool:
    try:
        return Address.parse(url).authorization is not None
    except ValueError:
        return False
