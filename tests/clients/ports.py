"""Ports that have to be known before somebody listens there."""

import socket


def reserved_port():
    """A port that is free, and that the system gives to nobody who asks for any
    free port or connects, for as long as it remembers a closed connection there
    (60 s on Linux). Who asks for the port itself with SO_REUSEADDR gets it, as
    servers do."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        # The side that closes first is the one that remembers.
        accepted.close()
        return listener.getsockname()[1]


if __name__ == "__main__":
    print(reserved_port())
