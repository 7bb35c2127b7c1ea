"""What every staff page needs from the server."""

from django.http import HttpRequest


def staff_shell(request: HttpRequest) -> dict[str, object]:
    """Context of the shell."""
    return {}
