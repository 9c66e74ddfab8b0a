import { describe, expect, test } from "bun:test";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { ServiceAccountTokens } from "./service-account-token.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "pod", namespace: "test", uid: "uid-1" },
  spec: { containers: [] },
};

/** A clock that never leaps. */
const steady = (now_ms: () => number) => ({ now_ms, wall_ms: now_ms });

test("a token that cannot be refreshed stays, and is asked for again after a while, not at once", async () => {
  let now_ms = Date.parse("2026-01-01T00:00:00Z");
  let requests = 0;
  let isAway = false;
  const post = async (_: unknown, __: unknown, ___: string, body: object): Promise<object> => {
    requests++;
    if (isAway) throw new ConnectionError("connect ECONNREFUSED");
    const expirationTimestamp = new Date(now_ms + 1_000_000).toISOString();
    return { ...body, status: { token: `token-${requests}`, expirationTimestamp } };
  };
  const tokens = new ServiceAccountTokens(
    { post } as unknown as Client,
    undefined,
    steady(() => now_ms),
  );
  expect(await tokens.token(pod, { path: "token" })).toBe("token-1");
  expect(tokens.refreshAt_ms("uid-1")).toBe(now_ms + 800_000);

  isAway = true;
  for (const later_ms of [900_000, 200_000]) {
    now_ms += later_ms;
    expect(await tokens.token(pod, { path: "token" })).toBe("token-1");
    expect(tokens.refreshAt_ms("uid-1")).toBeGreaterThan(now_ms);
  }
  expect(requests).toBe(3);

  isAway = false;
  now_ms += 60_000;
  expect(await tokens.token(pod, { path: "token" })).toBe("token-4");
});

test("the last known token is kept over a boot, mounted without asking a master that is away, and seldom written", async () => {
  let now_ms = Date.parse("2026-01-01T00:00:00Z");
  let requests = 0;
  const kept = new Map<string, string>();
  let writes = 0;
  const checkpoint = {
    read: async (_: string, key: string) => JSON.parse(kept.get(key) ?? "null") ?? undefined,
    save: async (_: string, key: string, object: object) => {
      writes++;
      kept.set(key, JSON.stringify(object));
    },
    remove: async (_: string, key: string) => void kept.delete(key),
  } as unknown as Checkpoint;
  const post = async (_: unknown, __: unknown, ___: string, body: object): Promise<object> => {
    requests++;
    return {
      ...body,
      status: { token: `t${requests}`, expirationTimestamp: new Date(now_ms + 3_600_000).toISOString() },
    };
  };
  const client = { post, isAway: false };
  const before = new ServiceAccountTokens(
    client as unknown as Client,
    checkpoint,
    steady(() => now_ms),
  );
  for (let hour = 0; hour < 24; hour++) {
    await before.token(pod, { path: "token" });
    now_ms += 3_600_000;
  }
  expect([requests, writes]).toEqual([24, 1]);

  client.isAway = true;
  const after = new ServiceAccountTokens(
    client as unknown as Client,
    checkpoint,
    steady(() => now_ms),
  );
  expect(await after.token(pod, { path: "token" })).toBe("t1");
  expect(await after.token(pod, { path: "token", audience: "another" })).toBe("t25");
  expect(requests).toBe(25);
  client.isAway = false;
  now_ms += 60_000;
  expect(await after.token(pod, { path: "token" })).toBe("t26");
  after.forget("uid-1");
  expect(kept.size).toBe(0);
});

test("by a clock that is ahead tokens are neither asked for without a pause nor written each time", async () => {
  const serverNow_ms = Date.parse("2026-01-01T00:00:00Z");
  let now_ms = serverNow_ms + 48 * 3_600_000;
  let writes = 0;
  const checkpoint = {
    read: async () => undefined,
    save: async () => void writes++,
    remove: async () => undefined,
  } as unknown as Checkpoint;
  const expirationTimestamp = new Date(serverNow_ms + 3_600_000).toISOString();
  const post = async (_: unknown, __: unknown, ___: string, body: object): Promise<object> => ({
    ...body,
    status: { token: "t", expirationTimestamp },
  });
  const tokens = new ServiceAccountTokens(
    { post } as unknown as Client,
    checkpoint,
    steady(() => now_ms),
  );
  for (let look = 0; look < 10; look++) {
    await tokens.token(pod, { path: "token" });
    const next_ms = tokens.refreshAt_ms("uid-1") ?? 0;
    expect(next_ms).toBeGreaterThan(now_ms);
    now_ms = next_ms;
  }
  expect(writes).toBe(1);
});

describe("a token that the server gives for an hour", () => {
  const serverNow_ms = Date.parse("2026-01-01T00:00:00Z");
  const year_ms = 365 * 86_400_000;
  /** The server's clock goes right; the board's is off by `off.ms`. */
  function board(off: { ms: number }) {
    const clock = {
      passed_ms: 0,
      now_ms: () => clock.passed_ms,
      wall_ms: () => serverNow_ms + clock.passed_ms + off.ms,
    };
    let requests = 0;
    const post = async (_: unknown, __: unknown, ___: string, body: object): Promise<object> => {
      const expirationTimestamp = new Date(serverNow_ms + clock.passed_ms + 3_600_000).toISOString();
      return { ...body, status: { token: `t${++requests}`, expirationTimestamp } };
    };
    const tokens = new ServiceAccountTokens({ post } as unknown as Client, undefined, clock);
    const untilRefresh_ms = () => (tokens.refreshAt_ms("uid-1") ?? 0) - clock.wall_ms();
    return { clock, untilRefresh_ms, token: () => tokens.token(pod, { path: "token" }) };
  }

  test.each([0, -year_ms, year_ms])("is refreshed in time by a clock that is %d ms off", async (ms) => {
    const { clock, untilRefresh_ms, token } = board({ ms });
    expect(await token()).toBe("t1");
    expect(untilRefresh_ms()).toBe(2_880_000);
    clock.passed_ms += 2_879_000;
    expect(await token()).toBe("t1");
    clock.passed_ms += 1_000;
    expect(await token()).toBe("t2");
  });

  test.each([-year_ms, year_ms])("is refreshed in time by a clock that is %d ms off and then put right", async (ms) => {
    const off = { ms };
    const { clock, untilRefresh_ms, token } = board(off);
    await token();
    clock.passed_ms += 60_000;
    off.ms = 0;
    expect(untilRefresh_ms()).toBe(2_820_000);
    clock.passed_ms += 2_820_000;
    expect(await token()).toBe("t2");
  });
});
