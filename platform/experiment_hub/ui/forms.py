"""Forms of pages: they are sent as forms, answered by going back to the page, and obey the API's rules."""

from http import HTTPStatus

from starlette.responses import RedirectResponse


def back_to(address: str) -> RedirectResponse:
    return RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER)
