"""What the tests of callers share: the gateway and the simulated provider as
processes, and the contract, generated for Python."""

import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

import grpc
from grpc_status import rpc_status
from google.rpc import error_details_pb2

from ports import reserved_port  # noqa: F401

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GATEWAY = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug/transatel-gateway"
FRANCE = "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D"
SOON = 20


@functools.cache
def contract():
    """A file with the contract as generators take it."""
    file = pathlib.Path(tempfile.mkdtemp()) / "connectivity-v1.binpb"
    file.write_bytes(subprocess.run([GATEWAY, "descriptor-set", "--plain"], check=True, capture_output=True).stdout)
    return file


def files():
    """The names of the contract's own files."""
    return sorted(f"connectivity/v1/{file.name}" for file in (ROOT / "proto/connectivity/v1").glob("*.proto"))


def generate(protoc, *outputs, more=()):
    """Has a protoc generate the contract from its descriptor set."""
    command = [*protoc, f"--descriptor_set_in={contract()}", *outputs, *files(), *more]
    subprocess.run([str(word) for word in command], check=True)


GRPCIO_PROTOC = [sys.executable, "-m", "grpc_tools.protoc"]
GENERATED = tempfile.mkdtemp()
generate(GRPCIO_PROTOC, f"--python_out={GENERATED}", f"--grpc_python_out={GENERATED}")
sys.path.insert(0, GENERATED)
from connectivity.v1 import provisioning_pb2, types_pb2  # noqa: E402


def until(what, condition):
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not in {SOON} s: {what}")


def fetch(url, data=None):
    request = urllib.request.Request(url, data=data and json.dumps(data).encode())
    if data:
        request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=SOON) as answer:
        return answer.read().decode()


class Process:
    """A process whose output is kept, and which ends with the test."""

    def __init__(self, test, *command, env=None, stdin=subprocess.DEVNULL):
        self.log = tempfile.NamedTemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=stdin, stdout=self.log, stderr=self.log, env=env, cwd=ROOT
        )
        test.addCleanup(self.end)

    def text(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def printed(self, pattern):
        def look():
            assert self.process.poll() is None, self.text()
            return re.search(pattern, self.text())

        return until(pattern, look)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def environment(settings):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {f"GATEWAY__{name}": str(value) for name, value in settings.items()}


class Gateway:
    """A gateway with a simulated provider of its own, or with one that runs."""

    def __init__(self, test, provider=None, more=None, **settings):
        loopback = "127.0.0.1:0"
        settings = {"GRPC__LISTEN": loopback, "ADMIN__LISTEN": loopback, "STORE__URL": "sqlite::memory:"} | settings
        if provider is None:
            settings |= {"SANDBOX__LISTEN": loopback}
        else:
            settings |= {
                "TRANSATEL__BASE_URL": provider.url,
                "TRANSATEL__CLIENT_ID": provider.client_id,
                "TRANSATEL__CLIENT_SECRET": provider.client_secret,
                "TRANSATEL__MVNO_REF": provider.mvno_ref,
            }
        command = [GATEWAY, "serve", *([] if provider else ["--sandbox"])]
        self.process = Process(test, *command, env=environment({"TELEMETRY__LOG_FORMAT": "json"} | settings) | (more or {}))
        if provider is None:
            self.address = self.process.printed(r"gRPC\s+(\S+)")[1]
            self.sandbox = self.process.printed(r"sandbox\s+(http://\S+)/__sandbox/")[1]
        else:
            self.address = json.loads(self.process.printed(r'\{.*"listening".*\}')[0])["grpc"]
        self.process.printed('"ready"')


class Provider:
    """The simulated provider alone."""

    def __init__(self, test):
        self.process = Process(test, GATEWAY, "sandbox", env=environment({"SANDBOX__LISTEN": "127.0.0.1:0"}))
        self.url = self.process.printed(r"simulated Transatel on (\S+)")[1]
        self.client_id, self.client_secret = self.process.printed(r'client id "(.*)", client secret "(.*)"').groups()
        self.mvno_ref = self.process.printed(r'MVNO "(.*)"')[1]


def reason(error):
    """The code and the reason of an error, read from its details."""
    for detail in rpc_status.from_call(error).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return error.code(), info.reason
    return error.code(), None


def sims(base_url, count):
    """Numbers of SIMs that can be sold, and their ICCIDs."""
    query = "status=Pre-Activated&esim_status=released"
    stock = json.loads(fetch(f"{base_url}/__sandbox/sims?{query}&limit={count}"))
    return [(sim["msisdn"], sim["iccid"]) for sim in stock]


def buy(stub, msisdn, request_id, timeout=SOON):
    """Buys, and repeats with the same id what may be repeated."""
    request = provisioning_pb2.CreateOrderRequest(
        request_id=request_id, sim=types_pb2.SimRef(msisdn=msisdn), product_id=FRANCE
    )
    end = time.monotonic() + SOON
    while True:
        try:
            return stub.CreateOrder(request, timeout=timeout).order
        except grpc.RpcError as error:
            retried = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            if not retried or time.monotonic() > end:
                raise
            time.sleep(0.05)


def orders_accepted(base_url):
    return json.loads(fetch(f"{base_url}/__sandbox/counters"))["orders_accepted"]
