// A shop's backend: what it sells is in its database before it is ordered. Here that is two files, of sales and of events.
//
//     node backend.js ADDRESS FILE list COUNTRY
//     node backend.js ADDRESS FILE sell LINE PRODUCT      LINE is a line of an order of the shop, such as 1001/1
//     node backend.js ADDRESS FILE qr LINE PICTURE
//     node backend.js ADDRESS FILE balances LINE
//     node backend.js ADDRESS FILE follow
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { Metadata, ServiceError, status } from "@grpc/grpc-js";
import { v5 as uuid5 } from "uuid";
import { CatalogClient, ListProductsRequest, ListProductsResponse } from "./connectivity/v1/catalog";
import { EsimClient, GetInstallationRequest, GetInstallationResponse, QrFormat } from "./connectivity/v1/esim";
import { Event, EventsClient } from "./connectivity/v1/events";
import { GetInventoryRequest, GetInventoryResponse, InventoryClient } from "./connectivity/v1/inventory";
import { CreateOrderRequest, CreateOrderResponse, GetOrderRequest, GetOrderResponse, Order, OrderState, ProvisioningClient } from "./connectivity/v1/provisioning";
import { call, connect, Failure, follow } from "./gateway";

const scope = uuid5("https://shop.example/production/sales", uuid5.URL);
const [address = "", file = "", command = "", ...rest] = process.argv.slice(2);
const provisioning = connect(ProvisioningClient, address);

type Sale = { attempt: number; state: string; iccid?: string };
const sales: { [line: string]: Sale } = load(file, {});
const seen: { handled: string[]; token: string } = load(`${file}.events`, { handled: [], token: "" });

function load<Content>(file: string, otherwise: Content): Content {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : otherwise;
}

/** As a whole, so that no moment leaves half a file. */
function save(file: string, content: unknown): void {
  writeFileSync(`${file}.new`, JSON.stringify(content));
  renameSync(`${file}.new`, file);
}

async function list(country: string): Promise<void> {
  const request = ListProductsRequest.fromPartial({ countries: [country], orderBy: "price", pageSize: 5 });
  const { products } = await call<ListProductsResponse>((done) => connect(CatalogClient, address).listProducts(request, done));
  for (const { productId, price } of products) {
    console.log(`product ${productId} ${price ? `${(price.units + price.nanos / 1e9).toFixed(2)} ${price.currencyCode}` : "-"}`);
  }
}

async function sell(line: string, productId: string): Promise<void> {
  // Stored before the call. Whatever happens from here on, the same command goes on.
  const sale = (sales[line] ??= { attempt: 1, state: "new" });
  save(file, sales);
  try {
    // The same id in every process: a new one for each attempt at a line.
    const requestId = uuid5(`${line}/${sale.attempt}`, scope);
    const maxPrice = { currencyCode: "EUR", units: 10 };
    const order = await settled(CreateOrderRequest.fromPartial({ requestId, pool: "sandbox", productId, maxPrice }));
    sale.state = order.state.replace("ORDER_STATE_", "");
    sale.iccid = order.sim?.iccid;
    save(file, sales);
    // What is still open is reported by `follow`.
    console.log(`sale ${line} ${sale.state} ${order.orderId} ${sale.iccid}`);
  } catch (error) {
    failed(line, sale, error as ServiceError);
  }
}

/** The order when its outcome is known, or after 20 s as it is. */
async function settled(request: CreateOrderRequest): Promise<Order> {
  let order: Order | undefined;
  try {
    ({ order } = await call<CreateOrderResponse>((done) => provisioning.createOrder(request, done)));
  } catch (error) {
    const { code, metadata } = error as ServiceError;
    if (code !== status.DEADLINE_EXCEEDED || new Failure(code, metadata).metadata.least_deadline_ms) throw error;
  }
  if (!order || [OrderState.ORDER_STATE_SUBMITTING, OrderState.ORDER_STATE_UNKNOWN].includes(order.state)) {
    const known = GetOrderRequest.fromPartial({ requestId: request.requestId, wait: { seconds: 20 } });
    // The deadline of the service config is for calls without a `wait`.
    const deadline = Date.now() + 25_000;
    ({ order } = await call<GetOrderResponse>((done) => provisioning.getOrder(known, new Metadata(), { deadline }, done)));
  }
  return Order.fromPartial(order ?? {});
}

function failed(line: string, sale: Sale, error: ServiceError): void {
  if (error.metadata === undefined) throw error;
  const failure = new Failure(error.code, error.metadata);
  if (failure.advice() === "NEW_REQUEST_ID") {
    // Nothing was bought: the customer may be refunded, or the next `sell` tries again.
    sale.state = "refused";
    sale.attempt += 1;
    save(file, sales);
  }
  console.log(`error ${line} ${status[failure.code]} ${failure.reason || "-"} ${failure.advice()}`);
}

/** For the customer only: who has the picture can install the eSIM. */
async function qr(line: string, picture: string): Promise<void> {
  const request = GetInstallationRequest.fromPartial({ sim: { iccid: sales[line]?.iccid }, qrFormat: QrFormat.QR_FORMAT_PNG });
  const { qrPng } = await call<GetInstallationResponse>((done) => connect(EsimClient, address).getInstallation(request, done));
  writeFileSync(picture, qrPng, { mode: 0o600 });
  console.log(`qr ${line} ${qrPng.length}`);
}

async function balances(line: string): Promise<void> {
  const request = GetInventoryRequest.fromPartial({ sim: { iccid: sales[line]?.iccid } });
  const answer = await call<GetInventoryResponse>((done) => connect(InventoryClient, address).getInventory(request, done));
  for (const { productId, status, balances } of answer.subscriptions) {
    // None before its first use: what the product grants is in the catalog.
    for (const balance of balances.length ? balances : [undefined]) {
      const left = balance ? (balance.unlimited ? "unlimited" : balance.remaining?.dataBytes) : "-";
      console.log(`balance ${productId} ${status.replace("SUBSCRIPTION_STATUS_", "")} ${left}`);
    }
  }
}

/** Event and token in one write: what comes twice is done once. */
function handle(event: Event | undefined, token: string): void {
  if (event && !seen.handled.includes(event.eventId)) {
    seen.handled.push(event.eventId);
    console.log(`event ${event.type.replace("EVENT_TYPE_", "")} ${event.requestId} ${event.sim?.iccid}`);
  }
  seen.token = token;
  save(`${file}.events`, seen);
}

function lost(): void {
  console.log("events were lost: compare with ListOrders and Inventory");
  seen.token = "";
  save(`${file}.events`, seen);
}

const commands: { [name: string]: (...rest: string[]) => Promise<void> | void } = {
  list,
  sell,
  qr,
  balances,
  follow: () => follow(connect(EventsClient, address), () => seen.token, handle, lost),
};
commands[command]?.(...rest);
