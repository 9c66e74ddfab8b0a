import { expect, test } from "bun:test";
import { notFound } from "#shared/api/errors.ts";
import { events } from "#shared/api/resources.ts";
import type { Event, Pod } from "#shared/api/types/core-v1.generated.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { type Client, ConnectionError } from "./client.ts";
import { ApiEventRecorder } from "./event-recorder.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "default", uid: "u" },
  spec: { containers: [] },
};

test("what happens while no server can be reached is told when one is back, counted", async () => {
  const clock = new ManualClock();
  const written: Event[] = [];
  let isAway = true;
  const create = async (_: unknown, event: Event): Promise<Event> => {
    if (isAway) throw new ConnectionError("away");
    written.push(event);
    return event;
  };
  const recorder = new ApiEventRecorder({ create } as unknown as Client, { component: "kubelet", clock });
  recorder.record(pod, { type: "Warning", reason: "Unhealthy", message: "no answer" });
  for (let n = 0; n < 5; n++) {
    recorder.record(pod, { type: "Warning", reason: "BackOff", message: "back-off" });
    await clock.advance(600_000);
  }
  expect(written).toEqual([]);
  isAway = false;
  const done = recorder.flushed();
  await clock.advance(60_000);
  await done;
  expect(written.map(({ reason, count }) => [reason, count])).toEqual([
    ["Unhealthy", 1],
    ["BackOff", 5],
  ]);
  const [, last] = written;
  expect(last?.firstTimestamp).not.toBe(last?.lastTimestamp);
});

test("from the tenth on, those that differ by their message alone are combined under the source alone", async () => {
  const written: Event[] = [];
  const create = async (_: unknown, event: Event): Promise<Event> => {
    written.push(event);
    return event;
  };
  const recorder = new ApiEventRecorder({ create } as unknown as Client, { component: "kubelet" });
  for (let n = 1; n <= 10; n++) recorder.record(pod, { type: "Normal", reason: "Made", message: `made ${n}` });
  await recorder.flushed();
  const [first] = written;
  expect(first).toMatchObject({ message: "made 1", reportingComponent: "kubelet", source: { component: "kubelet" } });
  expect(written.at(-1)).toMatchObject({
    message: "(combined from similar events): made 10",
    source: { component: "kubelet" },
    reportingComponent: "",
  });
});

/** A server that keeps events by name, until it is told to forget them. */
function recording() {
  const clock = new ManualClock();
  const kept = new Map<string, Event>();
  const client = {
    create: async (_: unknown, event: Event) => {
      kept.set(event.metadata.name ?? "", event);
      return event;
    },
    patch: async (_: unknown, { name }: { name: string }, { body }: { body: Partial<Event> }) => {
      const present = kept.get(name);
      if (!present) throw notFound(events, name);
      kept.set(name, { ...present, ...body });
    },
  };
  const recorder = new ApiEventRecorder(client as unknown as Client, { component: "kubelet", clock });
  return { clock, kept, recorder, counts: () => [...kept.values()].map(({ message, count }) => [message, count]) };
}
const unhealthy = { type: "Warning", reason: "Unhealthy", message: "no answer" } as const;

test("what comes too often is not written, but counted", async () => {
  const { clock, recorder, counts } = recording();
  for (let n = 0; n < 40; n++) {
    recorder.record(pod, unhealthy);
    await recorder.flushed();
  }
  expect(counts()).toEqual([["no answer", 25]]);
  await clock.advance(300_000);
  recorder.record(pod, unhealthy);
  await recorder.flushed();
  expect(counts()).toEqual([["no answer", 41]]);
});

test("warnings leave room for what is normal", async () => {
  const { recorder, counts } = recording();
  for (let n = 0; n < 40; n++) recorder.record(pod, unhealthy);
  recorder.record(pod, { type: "Normal", reason: "Killing", message: "stopping" });
  await recorder.flushed();
  expect(counts()).toEqual([
    ["no answer", 25],
    ["stopping", 1],
  ]);
});

test("an event that the server has forgotten goes on under its name, with its count and its first time", async () => {
  const { clock, kept, recorder } = recording();
  recorder.record(pod, unhealthy);
  await recorder.flushed();
  const [first] = kept.values();
  kept.clear();
  await clock.advance(4_000_000);
  recorder.record(pod, unhealthy);
  await recorder.flushed();
  const [again] = kept.values();
  expect(again).toMatchObject({ metadata: first?.metadata, firstTimestamp: first?.firstTimestamp, count: 2 });
  expect(again?.lastTimestamp).not.toBe(first?.lastTimestamp);
});

test("what happens to parts of an object is combined as what happens to one", async () => {
  const { recorder, counts } = recording();
  for (let n = 1; n <= 11; n++) {
    const fieldPath = `spec.containers{c${n}}`;
    recorder.record(pod, { type: "Normal", reason: "Created", message: `created c${n}`, fieldPath });
  }
  await recorder.flushed();
  expect(counts().slice(-2)).toEqual([
    ["created c9", 1],
    ["(combined from similar events): created c11", 2],
  ]);
});

test("an event is told whole, and has a name also where its object's is none for an event", async () => {
  const { kept, recorder } = recording();
  const message = "m".repeat(5000);
  for (const name of ["system:node", "n".repeat(250)])
    recorder.record({ ...pod, metadata: { ...pod.metadata, name } }, { type: "Normal", reason: "Made", message });
  await recorder.flushed();
  expect([...kept.values()].map((event) => event.message === message)).toEqual([true, true]);
  expect([...kept.keys()].filter((name) => !/^[0-9a-f-]{36}$/.test(name))).toEqual([]);
});
