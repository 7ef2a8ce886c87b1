"""What every caller needs around the calls: a channel, the reason of an error, and a follower."""

import dataclasses
import pathlib
import random
import time

import grpc
from connectivity.v1 import events_pb2, events_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

CONFIG = (pathlib.Path(__file__).parents[1] / "service_config.json").read_text()
# Errors of a stream that do not go away by themselves.
LASTING = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


def connect(address):
    """Deadlines, retries and balancing are in the service config; a dead connection is noticed in a minute."""
    return grpc.insecure_channel(address, [("grpc.service_config", CONFIG), ("grpc.keepalive_time_ms", 60_000)])


@dataclasses.dataclass
class Failure:
    """What an error says, whoever has given it: gateway, proxy or gRPC itself."""

    code: grpc.StatusCode
    reason: str = ""
    metadata: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, error):
        failure, status = cls(error.code()), rpc_status.from_call(error)
        info = error_details_pb2.ErrorInfo()
        for detail in status.details if status else ():
            if detail.Unpack(info):
                failure.reason, failure.metadata = info.reason, dict(info.metadata)
        return failure

    def advice(self):
        """What may be done: SAME_REQUEST_ID, NEW_REQUEST_ID or NEVER. Where only a proxy or gRPC speaks, a repeat with
        the same id cannot buy twice."""
        return self.metadata.get("retry", "SAME_REQUEST_ID")


def follow(channel, stored, handle):
    """Calls `handle(event, token)` with every event at least once, and with None when only the position is newer.
    `stored()` is the last token, or "". Returns when events were lost: forget the token then, and call it again."""
    stub = events_pb2_grpc.EventsStub(channel)
    while True:
        start = events_pb2.STREAM_START_EARLIEST
        try:
            for message in stub.StreamEvents(events_pb2.StreamEventsRequest(resume_token=stored(), start=start)):
                handle(message.event if message.HasField("event") else None, message.resume_token)
        except grpc.RpcError as error:
            if Failure.of(error).reason in ("EVENT_CURSOR_EXPIRED", "EVENT_CURSOR_INVALID"):
                return
            if error.code() in LASTING:
                raise
        time.sleep(random.uniform(0, 1))
