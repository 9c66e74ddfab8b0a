import { expect, test } from "bun:test";
import { StatusError } from "#shared/api/errors.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { notedLog } from "../testing/noted-log.ts";
import type { Client } from "./client.ts";
import type { EventRecorder } from "./event-recorder.ts";
import { runLeaderElection } from "./leader-election.ts";

/** The few calls that elections make, with optimistic locking. */
class LeaseStore {
  lease: { metadata: { name: string; resourceVersion: string }; spec: Record<string, unknown> } | undefined;
  #revision = 0;

  client(isConnected: () => boolean): Client {
    const check = (): void => {
      if (!isConnected()) throw new Error("cut off");
    };
    const store = (spec: Record<string, unknown>) => {
      this.lease = { metadata: { name: "l", resourceVersion: String(++this.#revision) }, spec };
      return structuredClone(this.lease);
    };
    return {
      get: async () => {
        check();
        if (!this.lease) throw new StatusError("NotFound", "none");
        return structuredClone(this.lease);
      },
      create: async (_ref: unknown, object: { spec: Record<string, unknown> }) => {
        check();
        if (this.lease) throw new StatusError("AlreadyExists", "there");
        return store(object.spec);
      },
      update: async (
        _ref: unknown,
        object: { metadata: { resourceVersion: string }; spec: Record<string, unknown> },
      ) => {
        check();
        if (this.lease?.metadata.resourceVersion !== object.metadata.resourceVersion)
          throw new StatusError("Conflict", "stale");
        return store(object.spec);
      },
    } as unknown as Client;
  }
}

test("one leads at a time; the next takes over when it is released, or when the holder is cut off", async () => {
  const clock = new ManualClock();
  const store = new LeaseStore();
  const leading = new Set<string>();
  const cut = new Set<string>();
  const stops = new Map<string, AbortController>();
  const told: string[] = [];
  const events: EventRecorder = { record: (_about, { reason, message }) => told.push(`${reason}: ${message}`) };
  const elections = ["a", "b", "c"].map((identity) => {
    const stop = new AbortController();
    stops.set(identity, stop);
    const lead = async (signal: AbortSignal): Promise<void> => {
      leading.add(identity);
      expect(leading.size).toBe(1);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      leading.delete(identity);
    };
    const client = store.client(() => !cut.has(identity));
    return runLeaderElection(
      { client, lease: { namespace: "ns", name: "l" }, identity, events, clock, random: () => 0 },
      lead,
      stop.signal,
    );
  });
  await clock.advance(1);
  const [first = ""] = leading;
  await clock.advance(60_000);
  expect([...leading]).toEqual([first]);
  expect(store.lease?.spec).toMatchObject({ holderIdentity: first, leaseDurationSeconds: 15, leaseTransitions: 0 });

  stops.get(first)?.abort();
  await clock.advance(2_500);
  const [second = ""] = leading;
  expect(second).not.toBe(first);
  expect(second).not.toBe("");

  cut.add(second);
  await clock.advance(11_000);
  expect(leading.size).toBe(0);
  await clock.advance(8_000);
  const [third = ""] = leading;
  expect([first, second]).not.toContain(third);
  expect(third).not.toBe("");
  expect(store.lease?.spec).toMatchObject({ holderIdentity: third });

  for (const stop of stops.values()) stop.abort();
  await clock.advance(1);
  await Promise.all(elections);
  expect(told).toEqual(
    [first, second, third].flatMap((each) => [
      `LeaderElection: ${each} became leader`,
      `LeaderElection: ${each} stopped leading`,
    ]),
  );
});

test("a server that is away is told of once, and when it is back", async () => {
  const clock = new ManualClock();
  const store = new LeaseStore();
  const { log, lines } = notedLog();
  const stop = new AbortController();
  let isConnected = false;
  const client = store.client(() => isConnected);
  const election = runLeaderElection(
    { client, lease: { namespace: "ns", name: "l" }, identity: "a", log, clock, random: () => 0 },
    (signal) => new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true })),
    stop.signal,
  );
  await clock.advance(60_000);
  expect(lines).toEqual(["warn could not take the lease"]);
  isConnected = true;
  await clock.advance(60_000);
  expect(lines.slice(1)).toEqual(["info the API server answers for the lease again"]);
  stop.abort();
  await clock.advance(1);
  await election;
});
