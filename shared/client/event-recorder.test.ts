import { expect, test } from "bun:test";
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
