import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GrpcCode, GrpcError } from "../grpc/grpc-error.ts";
import { GrpcServer } from "../grpc/server.ts";
import { socketUrl } from "../grpc/socket-url.ts";
import { ExportRequest, exportPath, type Span } from "./otlp.ts";
import { SpanExport } from "./span-export.ts";

const socket = join(tmpdir(), `bramble-spans-${process.pid}.sock`);
afterAll(() => rmSync(socket, { force: true }));

const spanNamed = (name: string): Span => ({
  scope: "test",
  traceId: Buffer.alloc(16, 1),
  spanId: Buffer.alloc(8, 1),
  traceState: "",
  parentSpanId: Buffer.alloc(0),
  name,
  kind: 1,
  startTimeUnixNano: 1n,
  endTimeUnixNano: 2n,
  attributes: [],
  events: [],
  links: [],
  status: undefined,
});

/** A collector that answers with what `fault` gives, or takes what it gets. */
async function collect(fault: () => GrpcError | undefined | Promise<undefined>) {
  const names: string[][] = [];
  const collector = new GrpcServer({
    unary: {
      [exportPath]: async (request) => {
        const error = await fault();
        if (error) throw error;
        const { resourceSpans } = ExportRequest.decode(request);
        const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans: own }) => own));
        names.push(spans.map(({ name }) => name));
        return new Uint8Array();
      },
    },
  });
  await collector.listenUnix(socket);
  const told: string[] = [];
  const spans = new SpanExport(socketUrl(socket), [], (message) => told.push(message));
  const stop = async (): Promise<void> => {
    await spans.stop();
    await collector.stop();
  };
  return { names, told, spans, stop };
}

test("spans that a collector cannot take now are sent again, in order", async () => {
  let isBusy = true;
  const { names, told, spans, stop } = await collect(() =>
    isBusy ? new GrpcError(GrpcCode.Unavailable, "busy", true) : undefined,
  );
  spans.add(spanNamed("a"));
  await spans.flush();
  spans.add(spanNamed("b"));
  expect(names).toEqual([]);
  isBusy = false;
  await spans.flush();
  expect([names, told]).toEqual([[["a", "b"]], []]);
  await stop();
});

test("spans that it refuses are lost, which is told", async () => {
  let isRefusing = true;
  const { names, told, spans, stop } = await collect(() =>
    isRefusing ? new GrpcError(GrpcCode.InvalidArgument, "no such spans", true) : undefined,
  );
  spans.add(spanNamed("a"));
  await spans.flush();
  isRefusing = false;
  spans.add(spanNamed("b"));
  await spans.flush();
  expect(names).toEqual([["b"]]);
  expect(told).toEqual(["traces export: no such spans"]);
  await stop();
});

test("no more wait than there is room for, and no more are sent together than a collector takes well", async () => {
  const { names, spans, stop } = await collect(() => undefined);
  for (let index = 0; index < 4000; index += 1) spans.add(spanNamed(String(index)));
  await stop();
  // The first ones are on their way as soon as they are enough for one message; what waits behind them is bounded.
  expect(names.map(({ length }) => length)).toEqual([512, 512, 512, 512, 512]);
  expect(names.flat()).toEqual(Array.from({ length: 2560 }, (_, index) => String(index)));
});

test("a collector that hangs does not hold up the end", async () => {
  const hanging = Promise.withResolvers<undefined>();
  const asked = Promise.withResolvers<void>();
  const { names, spans, stop } = await collect(() => {
    asked.resolve();
    return hanging.promise;
  });
  spans.add(spanNamed("a"));
  const flushed = spans.flush();
  await asked.promise;
  await spans.stop();
  expect(names).toEqual([]);
  hanging.resolve(undefined);
  await flushed;
  await stop();
});
