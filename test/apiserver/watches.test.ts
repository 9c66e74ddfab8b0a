/** What clients rely on when they watch. */
import { describe, expect, test } from "bun:test";
import { configMaps } from "#shared/api/resources.ts";
import { watchParameters } from "../../master/apiserver/registry/watch.ts";
import { rejection } from "../../master/store/store-contract.ts";
import { admin } from "../support/apiserver.ts";
import { type Answer, base, configMap, startAfterCompaction, startWire } from "./wire.ts";

const wire = startWire();
const { send } = wire;

/** Lines of a watch until `count` have come, or it ends. */
async function watch(query: string, count: number, path = base): Promise<{ type: string; object: Answer["body"] }[]> {
  const stop = new AbortController();
  const response = await wire.server.fetch(`${path}?watch=1&${query}`, { signal: stop.signal });
  if (response.status !== 200) return [{ type: "HTTP", object: await response.json() }];
  const events: { type: string; object: Answer["body"] }[] = [];
  let rest = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      events.push(...lines.map((line) => JSON.parse(line)));
      if (events.length >= count) break;
    }
  } finally {
    stop.abort();
  }
  return events;
}

async function adminTls(): Promise<{ cert: string; key: string }> {
  const { certificatePem, keyPem } = await wire.server.issue("kubernetes-admin", ["system:masters"]);
  return { cert: certificatePem, key: keyPem };
}

describe("watch", () => {
  test("goes on exactly where a list ended", async () => {
    const { body: list } = await send("GET", base);
    const from = list.metadata.resourceVersion;
    await send("POST", base, configMap("w1", { data: { a: "1" } }));
    await send("PATCH", `${base}/w1`, { data: { a: "2" } }, { "content-type": "application/merge-patch+json" });
    await send("DELETE", `${base}/w1`);
    const events = await watch(`resourceVersion=${from}`, 3);
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
    const revisions = events.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
    expect(events[2]?.object.data).toEqual({ a: "2" });
    expect(await watch(`resourceVersion=${revisions[1]}`, 1)).toEqual(events.slice(2));
  });

  test("lasts as long as its client says, or else as long as the server has it to and up to twice that", async () => {
    const time_s = (query: string, shortest_s?: number): number =>
      watchParameters(new URLSearchParams(query), shortest_s).timeout_s;
    expect(time_s("timeoutSeconds=7", 100)).toBe(7);
    for (let times = 0; times < 20; times += 1) {
      expect(time_s("", 100)).toBeWithin(100, 200);
      expect(time_s("")).toBeWithin(1800, 3600);
    }
    const { body: list } = await send("GET", base);
    const watching = watch(`resourceVersion=${list.metadata.resourceVersion}&timeoutSeconds=10000000`, 1);
    await send("POST", base, configMap("later"));
    expect((await watching).map(({ object }) => object.metadata.name)).toEqual(["later"]);
  });

  test("an object that begins or ceases to match is added or deleted", async () => {
    const { body: list } = await send("GET", base);
    const merge = { "content-type": "application/merge-patch+json" };
    await send("POST", base, configMap("turn"));
    await send("PATCH", `${base}/turn`, { metadata: { labels: { on: "yes" } } }, merge);
    await send("PATCH", `${base}/turn`, { data: { a: "1" } }, merge);
    await send("PATCH", `${base}/turn`, { metadata: { labels: { on: "no" } } }, merge);
    const events = await watch(`resourceVersion=${list.metadata.resourceVersion}&labelSelector=on%3Dyes`, 3);
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
    expect(events[2]?.object.metadata.labels).toEqual({ on: "yes" });
  });

  test("WatchList gives what is there, then says so", async () => {
    const path = "/api/v1/namespaces";
    const { body: list } = await send("GET", path);
    const events = await watch(
      "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
      list.items.length + 1,
      path,
    );
    expect(events.slice(0, -1).map(({ object }) => object.metadata.name)).toEqual(
      list.items.map((item: Answer["body"]) => item.metadata.name),
    );
    const last = events.at(-1);
    expect(last?.type).toBe("BOOKMARK");
    expect(last?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" });
    expect((await watch("sendInitialEvents=true", 1, path))[0]?.object.code).toBe(422);
  });

  test("ends when its time is over", async () => {
    expect(await watch("timeoutSeconds=1&resourceVersion=0&fieldSelector=metadata.name%3Dnone", 1)).toEqual([]);
  });

  test("from a revision that is forgotten it is 410", async () => {
    const later = await startAfterCompaction(wire.server);
    const signal = new AbortController().signal;
    const events = later.client(admin).watch(configMaps, { resourceVersion: "1", signal })[Symbol.asyncIterator]();
    expect(await rejection(events.next())).toMatchObject({ code: 410, reason: "Expired" });
    later.stop();
  });

  test("in a form that is refused, from a revision that is forgotten, it fails nobody but its client", async () => {
    const later = await startAfterCompaction(wire.server);
    const unheard: unknown[] = [];
    const note = (error: unknown): void => void unheard.push(error);
    process.on("unhandledRejection", note);
    try {
      const path = `${base}?watch=1&resourceVersion=1&includeObject=odd`;
      const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
      const refused = await rejection(later.client(admin).raw({ method: "GET", path, accept }));
      expect(refused).toMatchObject({ code: 400 });
      // What nobody hears of is told after this turn, and would end the process.
      await new Promise((resolve) => setTimeout(resolve, 0));
      expect(unheard).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
      later.stop();
    }
  });

  test("over a WebSocket, a frame a message", async () => {
    const socket = new WebSocket(`${wire.server.url.replace("https", "wss")}/api/v1/namespaces?watch=1`, {
      tls: { ca: wire.server.authority.certificatePem, ...(await adminTls()) },
    } as unknown as string[]);
    const message = await new Promise<string>((resolve, reject) => {
      socket.onmessage = ({ data }) => resolve(String(data));
      socket.onerror = () => reject(new Error("the WebSocket failed"));
    });
    socket.close();
    expect(JSON.parse(message)).toMatchObject({ type: "ADDED", object: { kind: "Namespace" } });
  });

  test("a Table watch names its columns once", async () => {
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const stop = new AbortController();
    const response = await wire.server.fetch(`/api/v1/namespaces?watch=1`, {
      headers: { accept },
      signal: stop.signal,
    });
    const reader = response.body?.getReader();
    let text = "";
    while (text.split("\n").length < 3) text += new TextDecoder().decode((await reader?.read())?.value);
    stop.abort();
    const [first, second] = text.split("\n").map((line) => (line ? JSON.parse(line) : undefined));
    expect(first.object.columnDefinitions.length).toBeGreaterThan(0);
    expect(second.object.columnDefinitions).toBeNull();
  });
});
