"""A shop: buys, reads the reason of an error, and follows events.

    python -m grpc_tools.protoc -Iproto -Ithird_party --python_out=generated --grpc_python_out=generated proto/connectivity/v1/*.proto
    PYTHONPATH=generated python clients/python/shop.py 127.0.0.1:50051 1001/1 882470000000001 token
"""

import pathlib
import random
import sys
import time
import uuid

import grpc
from connectivity.v1 import events_pb2, events_pb2_grpc, provisioning_pb2, provisioning_pb2_grpc, types_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

FRANCE = "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D"
SCOPE = uuid.uuid5(uuid.NAMESPACE_URL, "https://shop.example/production/purchases")
CONFIG = (pathlib.Path(__file__).parents[1] / "service_config.json").read_text()


def reason(error):
    """The reason of an error, or "" when the gateway gave none."""
    status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()
    return next((info.reason for detail in (status.details if status else ()) if detail.Unpack(info)), "")


def buy(channel, line, msisdn, product_id):
    """Buys once, however often it is called for the same line of an order."""
    request_id, sim = str(uuid.uuid5(SCOPE, line)), types_pb2.SimRef(msisdn=msisdn)
    request = provisioning_pb2.CreateOrderRequest(request_id=request_id, sim=sim, product_id=product_id)
    return provisioning_pb2_grpc.ProvisioningStub(channel).CreateOrder(request).order


def follow(channel, file, handle):
    """Hands over every event at least once. The file keeps the last token."""
    lasting = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
    while True:
        token = file.read_text() if file.exists() else ""
        request = events_pb2.StreamEventsRequest(resume_token=token, start=events_pb2.STREAM_START_EARLIEST)
        try:
            for message in events_pb2_grpc.EventsStub(channel).StreamEvents(request):
                if message.HasField("event"):
                    handle(message.event)
                # Replaced as a whole: a process that ends here leaves the old token.
                fresh = file.with_suffix(".new")
                fresh.write_text(message.resume_token)
                fresh.replace(file)
        except grpc.RpcError as error:
            if reason(error) in ("EVENT_CURSOR_EXPIRED", "EVENT_CURSOR_INVALID"):
                print("events were lost: compare with Inventory", flush=True)
                file.unlink()
            elif error.code() in lasting:
                raise
        time.sleep(random.uniform(0, 1))


if __name__ == "__main__":
    address, line, msisdn, token = sys.argv[1:]
    with grpc.insecure_channel(address, [("grpc.service_config", CONFIG)]) as channel:
        order = buy(channel, line, msisdn, FRANCE)
        print("order", order.order_id, provisioning_pb2.OrderState.Name(order.state), flush=True)
        try:
            buy(channel, f"{line}/unknown", msisdn, "NO_SUCH_PRODUCT")
        except grpc.RpcError as error:
            print("error", error.code().name, reason(error), flush=True)
        show = lambda event: print("event", event.event_id, event.raw_type, event.order_id, flush=True)
        follow(channel, pathlib.Path(token), show)
