/** Writes whose way to etcd, or whose answer's way back, is lost: none is made twice, and none that was made is denied. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { silentLog } from "#shared/client/log.ts";
import { OutcomeUnknownError, RevisionMismatchError, type Store } from "../store.ts";
import { rejection } from "../store-contract.ts";
import { plainText } from "../value-transformer.ts";
import { openEtcdStore } from "./etcd-store.ts";
import { CuttableLink } from "./testing/cuttable-link.ts";
import { EtcdServers } from "./testing/etcd-server.ts";

describe("over a link that breaks", () => {
  let servers: EtcdServers;
  let link: CuttableLink;
  let store: Store;
  let key: string;
  let tests = 0;
  const text = (n: number): string => JSON.stringify({ n, filling: "x".repeat(200) });
  /** How often etcd has seen the key written since it was created. */
  const versionOf = (name: string): number => {
    const found = JSON.parse(servers.ctl("get", name, "--write-out=json")) as { kvs?: { version: number }[] };
    return found.kvs?.[0]?.version ?? 0;
  };

  beforeAll(async () => {
    servers = await EtcdServers.start();
    link = await CuttableLink.start(Number(new URL(servers.endpoints[0] ?? "").port));
  });
  afterAll(async () => {
    link.stop();
    await servers.stop();
  });
  beforeEach(async () => {
    tests += 1;
    key = `/registry/lost/${tests}`;
    store = await openEtcdStore({
      endpoints: [`https://127.0.0.1:${link.port}`],
      credentials: () => servers.credentials,
      transformer: plainText,
      log: silentLog,
    });
  });
  afterEach(() => store.close());

  for (const loss of ["request", "answer"] as const) {
    test(`an update whose ${loss} is lost is made once`, async () => {
      const first = await store.create(key, text(1));
      link.loseNext(loss);
      const second = await store.update(key, text(2), first);
      expect(await store.get(key)).toEqual({ key, value: text(2), revision: second });
      expect(versionOf(key)).toBe(2);
    });

    test(`a deletion whose ${loss} is lost is made once`, async () => {
      const first = await store.create(key, text(1));
      link.loseNext(loss);
      expect(await store.delete(key, first)).toBeGreaterThan(first);
      expect(await store.get(key)).toBeUndefined();
    });
  }

  test("a creation whose answer is lost is found", async () => {
    link.loseNext("answer");
    const revision = await store.create(key, text(1));
    expect(await store.get(key)).toEqual({ key, value: text(1), revision });
    expect(versionOf(key)).toBe(1);
  });

  test("a creation that got lost is said to be unknown, and not tried again", async () => {
    link.loseNext("request");
    expect(await rejection(store.create(key, text(1)))).toBeInstanceOf(OutcomeUnknownError);
    expect(await store.get(key)).toBeUndefined();
  });

  for (const loss of ["request", "answer"] as const) {
    test(`another's creation is not taken for one's own whose ${loss} is lost, which may come once that is gone`, async () => {
      await store.create(key, text(0));
      link.loseNext(loss);
      expect(await rejection(store.create(key, text(1)))).toBeInstanceOf(OutcomeUnknownError);
      expect((await store.get(key))?.value).toBe(text(0));
    });
  }

  test("nor is another's update", async () => {
    const first = await store.create(key, text(1));
    await store.update(key, text(2), first);
    link.loseNext("answer");
    expect(await rejection(store.update(key, text(3), first))).toBeInstanceOf(RevisionMismatchError);
    expect(versionOf(key)).toBe(2);
  });

  test("an update that another overwrote before it was looked for is found in the history", async () => {
    const other = await openEtcdStore({
      endpoints: servers.endpoints,
      credentials: () => servers.credentials,
      transformer: plainText,
      log: silentLog,
    });
    const first = await store.create(key, text(1));
    link.loseNext("answer");
    const updating = store.update(key, text(2), first);
    // Whichever comes first, the update's second try or this: in both cases it was made, once.
    let overwritten: number | undefined;
    while (overwritten === undefined) {
      const present = await other.get(key);
      if (present?.value === text(2)) overwritten = await other.update(key, text(3), present.revision);
    }
    expect(await updating).toBeLessThan(overwritten);
    expect(versionOf(key)).toBe(3);
    await other.close();
  });
});
