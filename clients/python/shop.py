"""A shop that buys, reads the reason of an error, and follows events: shop.py ADDRESS LINE MSISDN TOKEN_FILE"""

import pathlib
import random
import sys
import time
import uuid

import grpc
from connectivity.v1 import events_pb2, events_pb2_grpc, provisioning_pb2, provisioning_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

SCOPE = uuid.uuid5(uuid.NAMESPACE_URL, "https://shop.example/production/purchases")
CONFIG = (pathlib.Path(__file__).parents[1] / "service_config.json").read_text()


def reason(error):
    """The reason of an error, or "" when the gateway gave none."""
    status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()
    return next((info.reason for detail in (status.details if status else ()) if detail.Unpack(info)), "")


def buy(channel, line, msisdn, product_id):
    """Buys once, however often it is called for the same line of an order."""
    request_id, sim = str(uuid.uuid5(SCOPE, line)), {"msisdn": msisdn}
    request = provisioning_pb2.CreateOrderRequest(request_id=request_id, sim=sim, product_id=product_id)
    return provisioning_pb2_grpc.ProvisioningStub(channel).CreateOrder(request).order


def follow(channel, file):
    """Prints every event at least once. The file keeps the last token."""
    while True:
        token = file.read_text() if file.exists() else ""
        request = events_pb2.StreamEventsRequest(resume_token=token, start=events_pb2.STREAM_START_EARLIEST)
        try:
            for message in events_pb2_grpc.EventsStub(channel).StreamEvents(request):
                if message.HasField("event"):
                    print("event", message.event.event_id, message.event.raw_type, message.event.order_id, flush=True)
                # After the event was handled, and as a whole: the file never has half a token.
                pathlib.Path(f"{file}.new").write_text(message.resume_token)
                pathlib.Path(f"{file}.new").replace(file)
        except grpc.RpcError as error:
            if reason(error) in ("EVENT_CURSOR_EXPIRED", "EVENT_CURSOR_INVALID"):
                print("events were lost: compare with Inventory", flush=True)
                file.unlink()
            elif error.code().name in ("INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED"):
                raise
        time.sleep(random.uniform(0, 1))


address, line, msisdn, token_file = sys.argv[1:]
with grpc.insecure_channel(address, [("grpc.service_config", CONFIG), ("grpc.keepalive_time_ms", 60_000)]) as channel:
    order = buy(channel, line, msisdn, "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D")
    print("order", order.order_id, provisioning_pb2.OrderState.Name(order.state), flush=True)
    try:
        buy(channel, f"{line}/unknown", msisdn, "NO_SUCH_PRODUCT")
    except grpc.RpcError as error:
        print("error", error.code().name, reason(error), flush=True)
    follow(channel, pathlib.Path(token_file))
