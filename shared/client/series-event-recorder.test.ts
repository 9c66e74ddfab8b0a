import { expect, test } from "bun:test";
import { notFound } from "#shared/api/errors.ts";
import { events } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Event } from "#shared/api/types/events-v1.generated.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import type { Client } from "./client.ts";
import { SeriesEventRecorder } from "./series-event-recorder.ts";

const pod = (name: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default", uid: name, resourceVersion: "7" },
  spec: { containers: [] },
});

function recording() {
  const clock = new ManualClock();
  const written = new Map<string, Event>();
  const writes: string[] = [];
  const client = {
    create: async (_: unknown, event: Event) => {
      writes.push("create");
      written.set(event.metadata.name ?? "", event);
      return event;
    },
    patch: async (_: unknown, { name }: { name: string }, { body }: { body: Pick<Event, "series"> }) => {
      writes.push("patch");
      const present = written.get(name);
      if (!present) throw notFound(events, name);
      written.set(name, { ...present, ...body });
    },
  };
  const options = { component: "default-scheduler", host: "board", clock };
  const recorder = new SeriesEventRecorder(client as unknown as Client, options);
  return { clock, written, writes, recorder };
}
const failed = { type: "Warning", reason: "FailedScheduling", action: "Scheduling" } as const;

test("an event says who reports, what was done, and what else it has to do with", async () => {
  const { written, recorder } = recording();
  const preempted = { type: "Normal", reason: "Preempted", action: "Preempting", message: "m".repeat(2000) } as const;
  recorder.record(pod("victim"), { ...preempted, related: pod("preemptor") });
  await recorder.flushed();
  const [event] = written.values();
  const { metadata, note, ...rest } = event ?? ({} as Event);
  expect(metadata).toMatchObject({ name: expect.stringMatching(/^victim\.[0-9a-f]+$/), namespace: "default" });
  expect(note).toBe(`${"m".repeat(1020)} ...`);
  const of = (name: string) => ({
    apiVersion: "v1",
    kind: "Pod",
    namespace: "default",
    name,
    uid: name,
    resourceVersion: "7",
  });
  expect(rest).toEqual({
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    eventTime: expect.stringMatching(/\.\d{6}Z$/),
    reportingController: "default-scheduler",
    reportingInstance: "default-scheduler-board",
    action: "Preempting",
    reason: "Preempted",
    regarding: of("victim"),
    related: of("preemptor"),
    type: "Normal",
  });
});

test("what happens again becomes a series: written the second time, and once more when it is over", async () => {
  const { clock, written, writes, recorder } = recording();
  for (let n = 0; n < 5; n++) {
    recorder.record(pod("p"), { ...failed, message: "no room" });
    await recorder.flushed();
  }
  expect(writes).toEqual(["create", "patch"]);
  expect([...written.values()][0]?.series?.count).toBe(2);
  await clock.advance(6 * 60_000);
  await recorder.flushed();
  expect([...written.values()].map(({ series }) => series?.count)).toEqual([5]);
  recorder.record(pod("p"), { ...failed, message: "no room" });
  await recorder.flushed();
  expect(written.size).toBe(2);
});

test("a series whose event has expired is written as a whole", async () => {
  const { written, writes, recorder } = recording();
  recorder.record(pod("p"), { ...failed, message: "no room" });
  await recorder.flushed();
  written.clear();
  recorder.record(pod("p"), { ...failed, message: "no room" });
  await recorder.flushed();
  expect(writes).toEqual(["create", "patch", "create"]);
  expect([...written.values()].map(({ series }) => series?.count)).toEqual([2]);
});

test("the count of a series that goes on is written every half hour, so that its event lives on", async () => {
  const { clock, written, writes, recorder } = recording();
  for (let n = 0; n < 12; n++) {
    recorder.record(pod("p"), { ...failed, message: "no room" });
    await clock.advance(5 * 60_000);
    await recorder.flushed();
  }
  expect(writes).toEqual(["create", "patch", "patch"]);
  expect([...written.values()].map(({ series }) => series?.count)).toEqual([8]);
});
