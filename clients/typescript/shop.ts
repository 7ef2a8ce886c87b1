// A shop: buys, reads the reason of an error, and follows events.
//
//     node shop.js 127.0.0.1:50051 1001/1 882470000000001 token
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { credentials, Metadata, ServiceError, status, StatusObject } from "@grpc/grpc-js";
import { v5 as uuid5 } from "uuid";
import { EventsClient, StreamEventsResponse, StreamStart } from "./connectivity/v1/events";
import { CreateOrderRequest, CreateOrderResponse, Order, ProvisioningClient } from "./connectivity/v1/provisioning";
import { ErrorInfo } from "./google/rpc/error_details";
import { Status } from "./google/rpc/status";

const scope = uuid5("https://shop.example/production/purchases", uuid5.URL);
const lasting = [status.INVALID_ARGUMENT, status.PERMISSION_DENIED, status.UNAUTHENTICATED];
const [address = "", line = "", msisdn = "", tokenFile = "", config = "clients/service_config.json"] = process.argv.slice(2);
const options = { "grpc.service_config": readFileSync(config, "utf8"), "grpc.keepalive_time_ms": 60_000 };
const provisioning = new ProvisioningClient(address, credentials.createInsecure(), options);
const events = new EventsClient(address, credentials.createInsecure(), options);

/** The reason of an error, or "" when the gateway gave none. */
function reason(metadata: Metadata): string {
  const [details] = metadata.get("grpc-status-details-bin");
  const found = details && Status.decode(details as Buffer).details.find((any) => any.typeUrl.endsWith(".ErrorInfo"));
  return found ? ErrorInfo.decode(found.value).reason : "";
}

/** Buys once, however often it is called for the same line of an order. */
function buy(line: string, productId: string): Promise<Order | undefined> {
  const request = CreateOrderRequest.fromPartial({ requestId: uuid5(line, scope), sim: { msisdn }, productId });
  return new Promise((resolve, reject) =>
    provisioning.createOrder(request, (error: ServiceError | null, answer: CreateOrderResponse) => (error ? reject(error) : resolve(answer.order))),
  );
}

/** Prints every event at least once. The file keeps the last token. */
function follow(): void {
  const resumeToken = existsSync(tokenFile) ? readFileSync(tokenFile, "utf8") : "";
  const stream = events.streamEvents({ filter: undefined, resumeToken, start: StreamStart.STREAM_START_EARLIEST });
  stream.on("data", ({ event, resumeToken }: StreamEventsResponse) => {
    if (event) console.log(`event ${event.eventId} ${event.rawType} ${event.orderId}`);
    // After the event is handled, and as a whole: no moment leaves half a token.
    writeFileSync(`${tokenFile}.new`, resumeToken);
    renameSync(`${tokenFile}.new`, tokenFile);
  });
  stream.on("error", () => {});
  // The one end that every stream has, with an error or without.
  stream.on("status", ({ code, details, metadata }: StatusObject) => {
    const lost = ["EVENT_CURSOR_EXPIRED", "EVENT_CURSOR_INVALID"].includes(reason(metadata));
    if (lost) console.log("events were lost: compare with Inventory");
    if (lost) rmSync(tokenFile);
    else if (lasting.includes(code)) throw new Error(`${status[code]}: ${details}`);
    setTimeout(follow, 1000 * Math.random());
  });
}

buy(line, "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D")
  .then((order) => console.log(`order ${order?.orderId} ${order?.state}`))
  .then(() => buy(`${line}/unknown`, "NO_SUCH_PRODUCT"))
  .catch((error: ServiceError) => console.log(`error ${status[error.code]} ${reason(error.metadata)}`))
  .then(follow);
