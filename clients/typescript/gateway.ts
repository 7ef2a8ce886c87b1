// What every caller needs around the calls: clients, promises, the reason of an error, and a follower.
import { readFileSync } from "node:fs";
import { ChannelCredentials, ClientOptions, credentials, Metadata, ServiceError, status, StatusObject } from "@grpc/grpc-js";
import { Event, EventsClient, StreamEventsResponse, StreamStart } from "./connectivity/v1/events";
import { ErrorInfo } from "./google/rpc/error_details";
import { Status } from "./google/rpc/status";

/** Errors of a stream that do not go away by themselves. */
const lasting = [status.INVALID_ARGUMENT, status.PERMISSION_DENIED, status.UNAUTHENTICATED];

/** Deadlines, retries and balancing are in the service config; a dead connection is noticed in a minute. */
export function connect<C>(client: new (address: string, credentials: ChannelCredentials, options: ClientOptions) => C, address: string): C {
  const config = readFileSync(process.env.SERVICE_CONFIG ?? "clients/service_config.json", "utf8");
  return new client(address, credentials.createInsecure(), { "grpc.service_config": config, "grpc.keepalive_time_ms": 60_000 });
}

/** A unary call as a promise: `call((done) => client.getOrder(request, done))`. */
export function call<Answer>(start: (done: (error: ServiceError | null, answer: Answer) => void) => unknown): Promise<Answer> {
  return new Promise((resolve, reject) => start((error, answer) => (error ? reject(error) : resolve(answer))));
}

/** What an error says, whoever has given it: gateway, proxy or gRPC itself. */
export class Failure {
  reason = "";
  metadata: { [key: string]: string } = {};

  constructor(readonly code: status, trailers: Metadata) {
    const [details] = trailers.get("grpc-status-details-bin");
    for (const any of details ? Status.decode(details as Buffer).details : []) {
      if (any.typeUrl.endsWith(".ErrorInfo")) ({ reason: this.reason, metadata: this.metadata } = ErrorInfo.decode(any.value));
    }
  }

  /** What may be done. Where only a proxy or gRPC speaks, a repeat with the same id cannot buy twice. */
  advice(): string {
    return this.metadata.retry ?? "SAME_REQUEST_ID";
  }
}

/**
 * Calls `handle(event, token)` with every event at least once, and with undefined when only the position is newer.
 * `stored()` is the last token, or "". Calls `lost()` when events were lost, and then starts with the earliest.
 */
export function follow(client: EventsClient, stored: () => string, handle: (event: Event | undefined, token: string) => void, lost: () => void): void {
  const start = StreamStart.STREAM_START_EARLIEST;
  const stream = client.streamEvents({ filter: undefined, resumeToken: stored(), start });
  stream.on("data", ({ event, resumeToken }: StreamEventsResponse) => handle(event, resumeToken));
  stream.on("error", () => {});
  // The one end that every stream has, with an error or without.
  stream.on("status", ({ code, details, metadata }: StatusObject) => {
    if (["EVENT_CURSOR_EXPIRED", "EVENT_CURSOR_INVALID"].includes(new Failure(code, metadata).reason)) lost();
    else if (lasting.includes(code)) throw new Error(`${status[code]}: ${details}`);
    setTimeout(() => follow(client, stored, handle, lost), 1000 * Math.random());
  });
}
