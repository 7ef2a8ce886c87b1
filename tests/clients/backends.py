"""A shop's backend in Python and in TypeScript, killed in the middle of a sale."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from examples import CLIENTS, typescript
from support import FRANCE, GENERATED, ROOT, SOON, Gateway, Process, fetch, orders_accepted, until

PLACED = r"event ORDER_PLACED (\S+) "


class Backends(unittest.TestCase):
    """`backend.py` and `backend.ts`: every command, and every class of error."""

    def setUp(self):
        self.gateway = Gateway(self)
        self.control = f"{self.gateway.sandbox}/__sandbox"
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def backend(self, *program):
        database = self.folder / "shop"
        env = dict(os.environ) | {"PYTHONPATH": str(GENERATED)}
        command = [*map(str, program), self.gateway.address, str(database)]

        def run(*arguments):
            done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=env, cwd=ROOT, timeout=SOON)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        self.assertRegex(run("list", "FR"), rf"(?m)^product {FRANCE} 3\.30 EUR$")

        # Killed while the order is on its way: the same command goes on, and buys nothing more.
        hold = {"fault": "hold", "gate": "sale", "commit": True}
        fetch(f"{self.control}/faults", {"method": "POST", "path": "/ocs/subscriptions", "steps": [hold]})
        killed = Process(self, *command, "sell", "1001/1", FRANCE, env=env)
        until("the order is at the gate", lambda: json.loads(fetch(f"{self.control}/gates")) == {"sale": 1})
        killed.end()
        fetch(f"{self.control}/gates/sale/release", {})
        self.assertRegex(run("sell", "1001/1", FRANCE), r"^sale 1001/1 PLACED \S+ \d{19}\n")
        self.assertEqual(orders_accepted(self.gateway.sandbox), 1)
        run("qr", "1001/1", str(self.folder / "qr.png"))
        self.assertEqual((self.folder / "qr.png").read_bytes()[:4], b"\x89PNG")
        self.assertRegex(run("balances", "1001/1"), rf"^balance {FRANCE} WAITING_FOR_FIRST_USE -\n")

        # A request that is wrong, one that is refused for good, and its next attempt.
        self.assertEqual(run("sell", "1002/1", "NO_SUCH"), "error 1002/1 NOT_FOUND PRODUCT_NOT_FOUND NEVER\n")
        fetch(f"{self.control}/account", {"balance_cents": 0})
        refused = run("sell", "1003/1", FRANCE)
        self.assertEqual(refused, "error 1003/1 FAILED_PRECONDITION INSUFFICIENT_FUNDS NEW_REQUEST_ID\n")
        fetch(f"{self.control}/account", {"balance_cents": 100_000})
        self.assertRegex(run("sell", "1003/1", FRANCE), r"^sale 1003/1 PLACED ")

        first = Process(self, *command, "follow", env=env)
        request = first.printed(PLACED)[1]
        first.printed(rf"{PLACED}[\s\S]*{PLACED}")
        first.end()
        again = Process(self, *command, "follow", env=env)
        run("sell", "1004/1", FRANCE)
        again.printed(PLACED)
        self.assertNotIn(request, again.text(), "it continues after the stored token")

    def test_python(self):
        self.backend(sys.executable, CLIENTS / "python/backend.py")

    def test_typescript(self):
        self.backend("node", typescript() / "backend.js")
