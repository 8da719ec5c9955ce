"""Why a request is refused."""

from __future__ import annotations

from pipeline.client.errors import Code

__all__ = ["Code", "RequestError", "invalid"]


class RequestError(Exception):
    """A request that is answered with an error.

    Args:
      code: gRPC's status code; REST answers with its HTTP status.
      message: what the caller reads.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> RequestError:
    """INVALID_ARGUMENT."""
    return RequestError(Code.INVALID_ARGUMENT, message)
