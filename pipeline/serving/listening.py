"""Sockets that listen. Without TensorFlow, so that a port which is taken is said, and signals are heard, at once."""

from __future__ import annotations

import socket

from components.errors import InputError


def listen(host: str, port: int, option: str = "--rest-port") -> socket.socket:
    """A socket that listens there.

    Args:
      host: the address.
      port: 0 for any free one.
      option: that chooses another port, for the message.

    Raises:
      InputError: the address is taken, or is none.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the protocol spelt out asyncio turns Nagle's algorithm off, which costs 40 ms an answer.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except socket.gaierror as error:
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror}. Give an address of this machine with --host"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror}. Choose another port with {option}"
        ) from error
    return listener
