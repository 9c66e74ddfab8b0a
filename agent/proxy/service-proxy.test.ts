import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import type { ServiceCIDR } from "#shared/api/types/networking-v1.generated.ts";
import type { CacheCheckpoint } from "#shared/client/cache-checkpoint.ts";
import type { Client } from "#shared/client/client.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { silentLog } from "#shared/client/log.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import type { ProxyMode } from "./proxy-mode.ts";
import { ServiceProxy } from "./service-proxy.ts";

/** A master that says nothing, and a board whose checkpoint is older than what stands in its kernel. */
async function started(isInPlace: boolean, clock: ManualClock, kept: readonly KubeObject[] = []) {
  const checkpoint: CacheCheckpoint = {
    keeps: () => true,
    load: async (name) => kept.filter(({ kind }) => name.includes(`${kind?.toLowerCase()}s`)),
    changed: () => undefined,
  };
  const silent = {
    isAway: true,
    watch: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }) }),
  };
  const informers = new InformerFactory(silent as unknown as Client, { checkpoint, clock });
  let applied = 0;
  let refused: readonly string[] | undefined;
  const looked = Promise.withResolvers<void>();
  const mode: ProxyMode = {
    isInPlace: async () => {
      looked.resolve();
      return isInPlace;
    },
    stop: async () => undefined,
    apply: async (_, serviceCidrs) => {
      applied++;
      refused = serviceCidrs;
    },
  };
  const network = {
    family: "IPv4",
    clusterCidr: "10.42.0.0/16",
    serviceCidrs: ["10.43.0.0/16"],
    ownClusterIps: new Set<string>(),
  } as const;
  const proxy = new ServiceProxy({
    informers,
    networks: [network],
    mode: "iptables",
    makeMode: async () => mode,
    node: () => ({ name: "board", zone: undefined }),
    clock,
    log: silentLog,
  });
  informers.start();
  const start = proxy.start();
  await looked.promise;
  return { applied: () => applied, refused: () => refused, start, stop: () => proxy.stop() };
}

test("a board that has booted makes Services work by its checkpoint at once", async () => {
  const { applied, start, stop } = await started(false, new ManualClock());
  await start;
  while (applied() === 0) await Bun.sleep(1);
  await stop();
});

test("rules that outlived an agent are not replaced by an older checkpoint before the master had time to answer", async () => {
  const clock = new ManualClock();
  const { applied, start, stop } = await started(true, clock);
  await clock.advance(20_000);
  expect(applied()).toBe(0);
  await clock.advance(20_000);
  await start;
  while (applied() === 0) await Bun.sleep(1);
  await stop();
});

test("ranges of ServiceCIDRs are the proxy's of their family too", async () => {
  const range: ServiceCIDR = {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: { name: "more" },
    spec: { cidrs: ["10.60.0.0/24", "fd60::/112"] },
  };
  const { refused, start, stop } = await started(false, new ManualClock(), [range]);
  await start;
  while (refused()?.length !== 2) await Bun.sleep(1);
  expect(refused()).toEqual(["10.43.0.0/16", "10.60.0.0/24"]);
  await stop();
});
