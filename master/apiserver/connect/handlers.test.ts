import { expect, test } from "bun:test";
import type { IncomingMessage } from "node:http";
import { type Duplex, PassThrough } from "node:stream";
import { nodes, pods } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import type { Exchange, SubresourceCall } from "../registry/subresource-handler.ts";
import type { Dialer } from "./board-dialer.ts";
import { connectHandlers } from "./handlers.ts";

const reader = new MapReader()
  .put(nodes, { apiVersion: "v1", kind: "Node", metadata: { name: "a" }, spec: {} } satisfies Node)
  .put(pods, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "blue" },
    spec: { nodeName: "a", containers: [{ name: "main" }] },
    status: { podIP: "10.42.0.7" },
  } satisfies Pod);

/** A call of a subresource of the pod that ends by `signal`, and the streams to its board, on which nobody answers. */
function call(subresource: string, search: string, signal: AbortSignal, exchange?: Exchange) {
  const streams: Duplex[] = [];
  const dialer: Dialer = {
    boards: ["a"],
    async dial() {
      const stream = new PassThrough({ write: (_chunk, _encoding, done) => done() });
      streams.push(stream);
      return stream;
    },
  };
  const path = `/api/v1/namespaces/blue/pods/web/${subresource}`;
  const info = { path, rawPath: path, rest: [] };
  const context = { method: "GET", info, query: new URLSearchParams(search), signal, warnings: [] };
  const asked = { context, namespace: "blue", name: "web", subresource, exchange } as unknown as SubresourceCall;
  const handler = connectHandlers({ dialer, reader })[`pods/${subresource}`];
  if (!handler || !("handle" in handler)) throw new Error(`${subresource} is no connection`);
  const outcome = handler.handle(asked).then(
    () => "answered",
    () => "failed",
  );
  return { outcome, streams };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test.each([
  ["log", ""],
  ["proxy", ""],
])("%s: what is asked of a board ends with its client, answered or not", async (subresource, search) => {
  const client = new AbortController();
  const { outcome, streams } = call(subresource, search, client.signal);
  await turn();
  expect(streams.map(({ destroyed }) => destroyed)).toEqual([false]);
  client.abort();
  expect(streams.map(({ destroyed }) => destroyed)).toEqual([true]);
  expect(await outcome).toBe("failed");
});

test.each([
  ["log", ""],
  ["proxy", ""],
  ["exec", "command=date&container=main"],
  ["portforward", ""],
])("%s: nothing is asked of a board for a client that has left already", async (subresource, search) => {
  const request = { method: "GET", url: `/${search}`, rawHeaders: [] } as unknown as IncomingMessage;
  const socket = new PassThrough();
  socket.destroy();
  await turn();
  const isUpgrade = subresource === "exec" || subresource === "portforward";
  const exchange = isUpgrade ? ({ kind: "upgrade", request, socket, head: Buffer.of() } as const) : undefined;
  const { outcome, streams } = call(subresource, search, AbortSignal.abort(), exchange);
  expect(await outcome).toBe("failed");
  expect(streams.map(({ destroyed }) => destroyed)).toEqual([true]);
});
