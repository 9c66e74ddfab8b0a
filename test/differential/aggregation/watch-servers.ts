/** Servers that answer watches, well and badly: by the last part of the path that is asked for. */
import type { ServerResponse } from "node:http";
import type { Answerer } from "./backing.ts";

export interface WatchedState {
  /** Goes on with a stream that has stopped, by its name. */
  readonly waiting: Map<string, () => void>;
  /** Streams whose client has gone. */
  readonly left: Set<string>;
}

const event = (number: number): string =>
  `${JSON.stringify({ type: "ADDED", object: { kind: "Flunder", apiVersion: "v1", metadata: { name: `f${number}` } } })}\n`;
const bookmark = `${JSON.stringify({ type: "BOOKMARK", object: { kind: "Flunder", metadata: { resourceVersion: "7" } } })}\n`;
const gone = { kind: "Status", apiVersion: "v1", status: "Failure", reason: "Expired", message: "too old", code: 410 };

type Streamer = (response: ServerResponse, goOn: Promise<void>) => void | Promise<void>;

const begun = (response: ServerResponse, headers: Record<string, string> = {}, code = 200): void => {
  response.writeHead(code, { "content-type": "application/json;stream=watch", ...headers });
};
const json = (response: ServerResponse, code: number, body: object, headers: Record<string, string> = {}): void => {
  response.writeHead(code, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
};

export const streamers: Readonly<Record<string, Streamer>> = {
  async plain(response, goOn) {
    begun(response);
    response.write(event(1) + bookmark);
    await goOn;
    response.end(event(2));
  },
  async headersfirst(response, goOn) {
    begun(response);
    response.flushHeaders();
    await goOn;
    response.end(event(1));
  },
  async halves(response, goOn) {
    begun(response);
    response.write(event(1).slice(0, 20));
    await goOn;
    response.end(event(1).slice(20) + event(2));
  },
  async breaking(response, goOn) {
    begun(response);
    response.write(event(1));
    await goOn;
    response.destroy();
  },
  async unchunked(response, goOn) {
    response.useChunkedEncodingByDefault = false;
    begun(response, { connection: "close" });
    response.write(event(1));
    await goOn;
    response.end(event(2));
  },
  async short(response, goOn) {
    begun(response, { "content-length": "5000" });
    response.write(event(1));
    await goOn;
    response.destroy();
  },
  async protobuf(response, goOn) {
    begun(response, { "content-type": "application/vnd.kubernetes.protobuf;stream=watch" });
    response.write(Buffer.from([0, 0, 0, 2, 8, 1]));
    await goOn;
    response.end(Buffer.from([0, 0, 0, 2, 8, 2]));
  },
  async trailing(response, goOn) {
    begun(response, { trailer: "x-own-end" });
    response.write(event(1));
    await goOn;
    response.addTrailers({ "x-own-end": "yes" });
    response.end();
  },
  async slow(response, goOn) {
    await goOn;
    begun(response);
    response.end(event(1));
  },
  async failing(response, goOn) {
    begun(response);
    response.write(event(1));
    await goOn;
    response.end(`${JSON.stringify({ type: "ERROR", object: gone })}\n`);
  },
  gone: (response) => json(response, 410, gone),
  failed: (response) => json(response, 500, { ...gone, reason: "InternalError", code: 500 }),
  unavailable: (response) => json(response, 503, { ...gone, code: 503 }, { "retry-after": "3" }),
  busy: (response) => json(response, 429, { ...gone, code: 429 }, { "retry-after": "1" }),
  refused: (response) => json(response, 401, { ...gone, code: 401 }, { "www-authenticate": "Bearer" }),
  moved: (response) => json(response, 302, {}, { location: "/apis/elsewhere.example.com/v1/plain" }),
  kept: (response) => json(response, 307, {}, { location: "https://elsewhere.example.com/x" }),
  dropped: (response) => void response.socket?.destroy(),
  empty: (response) => {
    begun(response);
    response.end();
  },
  text: (response) => {
    response.writeHead(500);
    response.end("what it says");
  },
};

/** A server of one group: discovery, and a stream for each of the names. */
export const watched =
  (group: string, { waiting, left }: WatchedState): Answerer =>
  (request, response) => {
    const [path = ""] = (request.url ?? "").split("?");
    const name = path.split("/").at(-1) ?? "";
    const stream = Object.hasOwn(streamers, name) ? streamers[name] : undefined;
    if (!stream) {
      const resources = Object.keys(streamers).map((each) => ({
        name: each,
        singularName: each,
        namespaced: false,
        kind: "Flunder",
        verbs: ["list", "watch"],
      }));
      return json(response, 200, { kind: "APIResourceList", apiVersion: "v1", groupVersion: `${group}/v1`, resources });
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.set(name, resolve);
    response.on("error", () => undefined);
    response.on("close", () => left.add(name));
    void stream(response, promise);
  };
