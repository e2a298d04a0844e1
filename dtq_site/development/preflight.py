"""What would make a start fail, found before anything is started; each is one line with its remedy."""

from __future__ import annotations

import errno
import socket
import tempfile
from pathlib import Path


def port_problem(host: str, port: int) -> str | None:
    """Why the API could not listen on `port`, or None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"Port {port} is in use. End the program that listens on it, or choose another: PORT={port + 1}."
            return f"Port {port} cannot be used: {error.strerror}. Choose another with PORT, such as PORT=3000."
    return None


def folder_problem(folder: Path) -> str | None:
    """Why nothing could be kept in `folder`, or None."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"The folder {folder} cannot be written: {error.strerror}. Make it writable, or set DTQ_DATA_FOLDER."
