// Follows all events with grpc-js and prints the id of each, until its standard
// input ends. Resumes after the last token whenever a stream ends.
//
//     node follow.js ADDRESS DESCRIPTOR_SET
"use strict";

const fs = require("node:fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, contract] = process.argv.slice(2);
const definition = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(contract), { enums: String, oneofs: true });
const { Events } = grpc.loadPackageDefinition(definition).connectivity.v1;
const client = new Events(address, grpc.credentials.createInsecure());

let token = "";
let streams = 0;
let stream;
let stopping = false;

function follow() {
  streams += 1;
  stream = client.StreamEvents(token ? { resume_token: token } : { start: "STREAM_START_EARLIEST" });
  stream.on("data", (message) => {
    if (message.event) console.log(`event ${message.event.event_id}`);
    // Kept after the event was handled.
    token = message.resume_token;
  });
  stream.on("error", (error) => console.log(`error ${grpc.status[error.code]}`));
  stream.on("end", () => {
    if (!stopping) setTimeout(follow, 20);
  });
}

process.stdin.on("end", () => {
  stopping = true;
  console.log(`streams ${streams}`);
  stream.cancel();
  client.close();
});
process.stdin.resume();
follow();
