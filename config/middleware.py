"""Request handling that spans all apps."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class StaffSessionMiddleware:
    """Placeholder until the shell lands."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Keep the next handler."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)
