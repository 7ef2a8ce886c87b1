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

/** Handles an event, or with undefined only a newer position, and stores the token after that. */
export type Handler = (event: Event | undefined, token: string) => void | Promise<void>;

/**
 * Calls `handle` with every event at least once, one after the other. `stored()` is the last token, or "". Calls `lost()`
 * when events were lost, and then starts with the earliest. Ends only with an error: of `handle`, or one that lasts.
 */
export async function follow(client: EventsClient, stored: () => string, handle: Handler, lost: () => void): Promise<never> {
  for (let resumeToken = stored(); ; resumeToken = stored()) {
    if (await ended(client, resumeToken, handle)) {
      lost();
      await ended(client, "", handle);
    }
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.random()));
  }
}

/** Handles events until the stream ends; whether events were lost. */
async function ended(client: EventsClient, resumeToken: string, handle: Handler): Promise<boolean> {
  const stream = client.streamEvents({ filter: undefined, resumeToken, start: StreamStart.STREAM_START_EARLIEST });
  // The one end that every stream has, with an error or without.
  const end = new Promise<StatusObject>((resolve) => stream.on("status", resolve));
  try {
    for await (const message of stream) {
      const { event, resumeToken } = message as StreamEventsResponse;
      await handle(event, resumeToken);
    }
  } catch (error) {
    if (!(error instanceof Error && "metadata" in error)) {
      stream.cancel();
      throw error;
    }
  }
  const { code, details, metadata } = await end;
  if (["EVENT_CURSOR_EXPIRED", "EVENT_CURSOR_INVALID"].includes(new Failure(code, metadata).reason)) return true;
  if (lasting.includes(code)) throw new Error(`${status[code]}: ${details}`);
  return false;
}
