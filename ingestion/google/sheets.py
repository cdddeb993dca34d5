"""A spreadsheet through gspread: raw values, the sheet's own locale and zone, nothing guessed.

Values are unformatted (numbers as numbers, dates as serial days); `get_all_records` is never used: it reads `36,6` as 366.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, Self

import gspread
import requests.adapters
from google.auth.transport.requests import AuthorizedSession

from config.errors import SettingsError
from ingestion.calls import Call
from ingestion.google import retry
from ingestion.google.retry import call

_HOST = "https://sheets.googleapis.com"
_VERSION = "v4"
_VALUES = f"/{_VERSION}/spreadsheets/{{spreadsheetId}}/values/{{range}}"
_THING = "spreadsheet"


class Worksheet(NamedTuple):
    """One worksheet's cells."""

    id: int
    title: str
    locale: str
    time_zone: str
    values: list[list[Any]]
    call: Call
    """The call that gave them."""


class Sheets:
    """The Sheets API for one service account. Close it."""

    def __init__(self, credentials: Any, endpoint: str | None) -> None:
        self._session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        self._session.hooks["response"].append(self._hear)
        self._endpoint = (endpoint or _HOST).rstrip("/") + _VALUES
        if endpoint:
            self._session.mount(_HOST, _Redirect(endpoint))
        self._client = gspread.Client(credentials, session=self._session)
        self._client.set_timeout(retry.TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()  # type: ignore[no-untyped-call]

    def titles(self, key: str) -> list[str]:
        """The worksheets' titles, in the order of the tabs."""
        return [sheet.title for sheet in self._worksheets(self._open(key))]

    def worksheets(self, key: str, wanted: Collection[str]) -> Iterator[Worksheet]:
        """The worksheets of these titles, or all. SettingsError when one that is asked for is not there."""
        spreadsheet = self._open(key)
        found = self._worksheets(spreadsheet)
        if not set(wanted) <= {sheet.title for sheet in found}:
            raise SettingsError("The spreadsheet lacks a worksheet that is asked for.", "Correct google_sheets_worksheets.")
        for sheet in found:
            if not wanted or sheet.title in wanted:
                values = _values(sheet)
                said = Call.answered(_VERSION, self._endpoint, *self._heard)
                yield Worksheet(sheet.id, sheet.title, spreadsheet.locale, spreadsheet.timezone, values, said)

    def _hear(self, response: requests.Response, **_: Any) -> None:
        """Remember the last answer's status and headers: gspread gives its content only."""
        self._heard: tuple[int, Mapping[str, str]] = (response.status_code, response.headers)

    def _open(self, key: str) -> Any:
        return call(lambda: self._client.open_by_key(key), _THING)

    def _worksheets(self, spreadsheet: Any) -> list[Any]:
        """Those with cells: a chart on a tab of its own has none."""
        return [sheet for sheet in call(spreadsheet.worksheets, _THING) if sheet.__dict__["_properties"].get("gridProperties")]


def _values(sheet: Any) -> list[list[Any]]:
    rows = call(
        lambda: sheet.get(
            value_render_option=gspread.utils.ValueRenderOption.unformatted,
            date_time_render_option=gspread.utils.DateTimeOption.serial_number,
            pad_values=True,
        ),
        _THING,
    )
    return [list(row) for row in rows]


class _Redirect(requests.adapters.HTTPAdapter):
    """Sends what is meant for Google to an emulator."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._endpoint = endpoint.rstrip("/")

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = self._endpoint + (request.url or "").removeprefix(_HOST)
        return super().send(request, *args, **kwargs)
