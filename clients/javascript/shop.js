// A shop: buys, reads the reason of an error, and follows events.
//
//     npm install @grpc/grpc-js @grpc/proto-loader
//     node clients/javascript/shop.js 127.0.0.1:50051 1001/1 882470000000001 token
"use strict";

const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");

const root = path.join(__dirname, "../..");
const files = ["provisioning", "events"].map((name) => `connectivity/v1/${name}.proto`);
const loaded = loader.loadSync(files, { includeDirs: [path.join(root, "proto"), path.join(root, "third_party")], enums: String, longs: String, oneofs: true });
const { Provisioning, Events } = grpc.loadPackageDefinition(loaded).connectivity.v1;
const details = protobuf.parse(`syntax = "proto3"; message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }`).root;

// UUID version 5: the same id for the same line of an order, in every process.
function uuid5(namespace, name) {
  const hash = createHash("sha1").update(Buffer.from(namespace.replaceAll("-", ""), "hex")).update(name).digest();
  hash[6] = (hash[6] & 0x0f) | 0x50;
  hash[8] = (hash[8] & 0x3f) | 0x80;
  return hash.toString("hex", 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
const scope = uuid5("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "https://shop.example/production/purchases");

function reason(error) {
  const [status] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const found = status && details.lookupType("Status").decode(status).details.find((any) => any.typeUrl.endsWith(".ErrorInfo"));
  return found ? details.lookupType("ErrorInfo").decode(found.value).reason : "";
}

const [address, line, msisdn, tokenFile] = process.argv.slice(2);
const config = fs.readFileSync(path.join(root, "clients/service_config.json"), "utf8");
const connect = (Service) => new Service(address, grpc.credentials.createInsecure(), { "grpc.service_config": config });
const [provisioning, events] = [connect(Provisioning), connect(Events)];

// Buys once, however often it is called for the same line of an order.
const buy = (line, productId) =>
  new Promise((resolve, reject) => {
    const request = { requestId: uuid5(scope, line), sim: { msisdn }, productId };
    provisioning.CreateOrder(request, (error, answer) => (error ? reject(error) : resolve(answer.order)));
  });

// Hands over every event at least once. The file keeps the last token.
function follow(handle) {
  const resumeToken = fs.existsSync(tokenFile) ? fs.readFileSync(tokenFile, "utf8") : "";
  const stream = events.StreamEvents({ resumeToken, start: "STREAM_START_EARLIEST" });
  stream.on("data", (message) => {
    if (message.event) handle(message.event);
    // Replaced as a whole: a process that ends here leaves the old token.
    fs.writeFileSync(`${tokenFile}.new`, message.resumeToken);
    fs.renameSync(`${tokenFile}.new`, tokenFile);
  });
  stream.on("error", () => {});
  // The one end that every stream has, with an error or without.
  stream.on("status", (status) => {
    const lost = ["EVENT_CURSOR_EXPIRED", "EVENT_CURSOR_INVALID"].includes(reason(status));
    if (lost) console.log("events were lost: compare with Inventory");
    if (lost) fs.rmSync(tokenFile);
    const lasting = [grpc.status.INVALID_ARGUMENT, grpc.status.PERMISSION_DENIED, grpc.status.UNAUTHENTICATED];
    if (!lost && lasting.includes(status.code)) throw new Error(`${status.code} ${status.details}`);
    setTimeout(() => follow(handle), 1000 * Math.random());
  });
}

(async () => {
  const order = await buy(line, "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D");
  console.log(`order ${order.orderId} ${order.state}`);
  await buy(`${line}/unknown`, "NO_SUCH_PRODUCT").catch((error) => console.log(`error ${grpc.status[error.code]} ${reason(error)}`));
  follow((event) => console.log(`event ${event.eventId} ${event.rawType} ${event.orderId}`));
})();
