import { afterAll, beforeAll, expect, test } from "bun:test";
import { endpointSlices, endpoints } from "#shared/api/resources.ts";
import { silentLog } from "#shared/client/log.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { startTestServer, type TestServer } from "../test/support/apiserver.ts";
import { KubernetesEndpoints } from "./kubernetes-endpoints.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const key = { namespace: "default", name: "kubernetes" };
const listed = async (): Promise<string[]> => {
  const slice = await server.client.get(endpointSlices, key);
  const { subsets = [] } = await server.client.get(endpoints, key);
  const addresses = slice.endpoints.flatMap((endpoint) => endpoint.addresses);
  expect(subsets.flatMap((subset) => (subset.addresses ?? []).map(({ ip }) => ip))).toEqual(addresses);
  return addresses;
};

/** Masters that nobody reaches, and pairs of which one does not reach the other: "from to". */
const dark = new Set<string>();
const clocks = new Map<string, ManualClock>();
async function started(address: string): Promise<KubernetesEndpoints> {
  const clock = new ManualClock();
  clocks.set(address, clock);
  const answers = async (to: string): Promise<boolean> => !dark.has(to) && !dark.has(`${address} ${to}`);
  const { client } = server;
  const master = new KubernetesEndpoints({ client, address, httpsPort: 6443, log: silentLog, clock, answers });
  await master.start();
  return master;
}

/** Time passes for these masters alone: the others are gone. */
async function pass(ms: number, ...addresses: string[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += 5_000) {
    for (const address of addresses) {
      const clock = clocks.get(address);
      await clock?.advance(5_000);
      // The round that this began goes through a real server; the next one is waited for when it is over.
      while (clock?.waiting === 0) await Bun.sleep(1);
    }
  }
}

test("the kubernetes Service leads to the masters that serve, whichever of them are left", async () => {
  const [first, second] = [await started("10.0.0.1"), await started("10.0.0.2")];
  await started("10.0.0.3");
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  // One that ends in good order takes itself off the list.
  await second.stop();
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.3"]);
  // One that dies takes no connections.
  dark.add("10.0.0.3");
  await pass(5_000, "10.0.0.1");
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.3"]);
  await pass(5_000, "10.0.0.1");
  expect(await listed()).toEqual(["10.0.0.1"]);
  dark.clear();
  // And it is back as soon as it serves again.
  const again = await started("10.0.0.3");
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.3"]);
  await again.stop();
  await first.stop();
});

test("one that hangs is known by its Lease, by the clock of who looks", async () => {
  const [first, hanging] = [await started("10.0.0.1"), await started("10.0.0.3")];
  await pass(120_000, "10.0.0.1");
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.3"]);
  await pass(60_000, "10.0.0.1");
  expect(await listed()).toEqual(["10.0.0.1"]);
  await hanging.stop();
  await first.stop();
});

test("one that lives behind a broken way is taken off the list once, and not again", async () => {
  const [first, second] = [await started("10.0.0.1"), await started("10.0.0.2")];
  dark.add("10.0.0.1 10.0.0.2");
  await pass(10_000, "10.0.0.1");
  expect(await listed()).toEqual(["10.0.0.1"]);
  await pass(5_000, "10.0.0.2");
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.2"]);
  await pass(60_000, "10.0.0.1", "10.0.0.2");
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.2"]);
  dark.clear();
  await second.stop();
  await first.stop();
});
