#!/usr/bin/env python3
"""Callers, generators, proxies and fronts that are not ours, against the
gateway and the simulated provider.

    python tests/clients/check.py [-v] [Class.test …]

Needs what the step `clients` of `.ci/run` installs, the packages of
package.json where NODE_PATH says, and a built gateway (`cargo build`).
"""

import unittest

from backends import Backends  # noqa: F401
from callers import Environment, Grpcio, GrpcJs, ServiceConfig  # noqa: F401
from examples import Examples  # noqa: F401
from generated import Generated  # noqa: F401
from proxies import Envoy, Nginx  # noqa: F401
from tools import Tools  # noqa: F401

if __name__ == "__main__":
    unittest.main()
