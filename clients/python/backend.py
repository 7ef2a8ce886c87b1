"""A shop's backend: what it sells is in its database before it is ordered.

    backend.py ADDRESS DATABASE list COUNTRY
    backend.py ADDRESS DATABASE sell LINE PRODUCT      LINE is a line of an order of the shop, such as 1001/1
    backend.py ADDRESS DATABASE qr LINE FILE
    backend.py ADDRESS DATABASE balances LINE
    backend.py ADDRESS DATABASE follow
"""

import os
import pathlib
import sqlite3
import sys
import uuid

import grpc
from connectivity.v1 import catalog_pb2, catalog_pb2_grpc, esim_pb2, esim_pb2_grpc, events_pb2
from connectivity.v1 import inventory_pb2, inventory_pb2_grpc, provisioning_pb2, provisioning_pb2_grpc, types_pb2
from gateway import Failure, connect, follow

SCOPE = uuid.uuid5(uuid.NAMESPACE_URL, "https://shop.example/production/sales")
State = provisioning_pb2.OrderState
# For a call with a `wait`: the deadline of the service config is for those without one.
WAIT, WAIT_DEADLINE = {"seconds": 20}, 25


def request_id(line, attempt):
    """The same in every process; a new one for each attempt at a line."""
    return str(uuid.uuid5(SCOPE, f"{line}/{attempt}"))


class Shop:
    def __init__(self, address, database):
        self.channel = connect(address)
        self.orders = provisioning_pb2_grpc.ProvisioningStub(self.channel)
        self.db = sqlite3.connect(database, isolation_level=None)
        self.db.execute("CREATE TABLE IF NOT EXISTS sale (line TEXT PRIMARY KEY, attempt INT, request_id, state, iccid)")
        self.db.execute("CREATE TABLE IF NOT EXISTS handled (event_id TEXT PRIMARY KEY)")
        self.db.execute("CREATE TABLE IF NOT EXISTS position (one INT PRIMARY KEY, token)")

    def list(self, country):
        request = catalog_pb2.ListProductsRequest(countries=[country], order_by="price", page_size=5)
        for product in catalog_pb2_grpc.CatalogStub(self.channel).ListProducts(request).products:
            price = product.price
            amount = f"{price.units + price.nanos / 1e9:.2f} {price.currency_code}" if product.HasField("price") else "-"
            print("product", product.product_id, amount)

    def sell(self, line, product):
        # Stored before the call. Whatever happens from here on, the same command goes on.
        first = request_id(line, 1)
        self.db.execute("INSERT OR IGNORE INTO sale VALUES (?, 1, ?, 'new', NULL)", [line, first])
        attempt, stored = self.db.execute("SELECT attempt, request_id FROM sale WHERE line = ?", [line]).fetchone()
        bound = {"currency_code": "EUR", "units": 10}
        request = provisioning_pb2.CreateOrderRequest(request_id=stored, pool="sandbox", product_id=product, max_price=bound)
        try:
            order = self.settled(request)
        except grpc.RpcError as error:
            return self.failed(line, attempt, Failure.of(error))
        state = State.Name(order.state).removeprefix("ORDER_STATE_")
        self.db.execute("UPDATE sale SET state = ?, iccid = ? WHERE line = ?", [state, order.sim.iccid, line])
        # What is still open is reported by `follow`.
        print("sale", line, state, order.order_id, order.sim.iccid)

    def settled(self, request):
        """The order when its outcome is known, or after 20 s as it is."""
        try:
            order = self.orders.CreateOrder(request).order
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED or "least_deadline_ms" in Failure.of(error).metadata:
                raise
            order = None
        if order is None or order.state in (State.ORDER_STATE_SUBMITTING, State.ORDER_STATE_UNKNOWN):
            known = provisioning_pb2.GetOrderRequest(request_id=request.request_id, wait=WAIT)
            order = self.orders.GetOrder(known, timeout=WAIT_DEADLINE).order
        return order

    def failed(self, line, attempt, failure):
        advice = failure.advice()
        if advice == "NEW_REQUEST_ID":
            # Nothing was bought: the customer may be refunded, or the next `sell` tries again.
            again = [attempt + 1, request_id(line, attempt + 1), line]
            self.db.execute("UPDATE sale SET state = 'refused', attempt = ?, request_id = ? WHERE line = ?", again)
        print("error", line, failure.code.name, failure.reason or "-", advice)

    def sim(self, line):
        (iccid,) = self.db.execute("SELECT iccid FROM sale WHERE line = ?", [line]).fetchone()
        return {"iccid": iccid}

    def qr(self, line, file):
        """For the customer only: who has the picture can install the eSIM."""
        request = esim_pb2.GetInstallationRequest(sim=self.sim(line), qr_format=esim_pb2.QR_FORMAT_PNG)
        picture = esim_pb2_grpc.EsimStub(self.channel).GetInstallation(request).qr_png
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(picture)
        print("qr", line, len(picture))

    def balances(self, line):
        inventory = inventory_pb2_grpc.InventoryStub(self.channel)
        for subscription in inventory.GetInventory(inventory_pb2.GetInventoryRequest(sim=self.sim(line))).subscriptions:
            status = types_pb2.SubscriptionStatus.Name(subscription.status).removeprefix("SUBSCRIPTION_STATUS_")
            # None before its first use: what the product grants is in the catalog.
            for balance in subscription.balances or [None]:
                left = "-" if balance is None else "unlimited" if balance.unlimited else balance.remaining.data_bytes
                print("balance", subscription.product_id, status, left)

    def follow(self):
        while True:
            follow(self.channel, self.token, self.handle)
            print("events were lost: compare with ListOrders and Inventory")
            self.db.execute("DELETE FROM position")

    def token(self):
        row = self.db.execute("SELECT token FROM position").fetchone()
        return row[0] if row else ""

    def handle(self, event, token):
        """Event and token in one transaction: what comes twice is done once."""
        self.db.execute("BEGIN IMMEDIATE")
        if event and self.db.execute("INSERT OR IGNORE INTO handled VALUES (?)", [event.event_id]).rowcount:
            kind = events_pb2.EventType.Name(event.type) if event.type in events_pb2.EventType.values() else event.raw_type
            if event.type == events_pb2.EVENT_TYPE_ORDER_PLACED:
                sold = [event.sim.iccid, event.request_id]
                self.db.execute("UPDATE sale SET state = 'PLACED', iccid = ? WHERE request_id = ?", sold)
            print("event", kind.removeprefix("EVENT_TYPE_"), event.request_id, event.sim.iccid, flush=True)
        self.db.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", [token])
        self.db.execute("COMMIT")


address, database, command, *arguments = sys.argv[1:]
getattr(Shop(address, database), command)(*arguments)
