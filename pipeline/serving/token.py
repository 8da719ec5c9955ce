"""The token that callers show who may do more than ask for predictions."""

from __future__ import annotations

import hmac
import ipaddress
from pathlib import Path

from components.errors import InputError

_SHORTEST, _LONGEST = 16, 4096


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
      InputError: it cannot be read, or is no token.
    """
    try:
        with path.open("rb") as stream:
            token = stream.read(_LONGEST + 1).strip()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if not _SHORTEST <= len(token) <= _LONGEST or not all(33 <= byte < 127 for byte in token):
        raise InputError(
            f"{path}: a token has {_SHORTEST} to {_LONGEST} visible ASCII characters, on one line: make one with "
            "openssl rand -hex 32"
        )
    return token.decode("ascii")


def shown(authorization: str | None, token: str) -> bool:
    """Whether an `Authorization` header shows the token, or there is none to show."""
    scheme, _, given = (authorization or "").partition(" ")
    same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
    return not token or (scheme.lower() == "bearer" and same)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
