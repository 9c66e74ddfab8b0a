import { afterAll, beforeAll, expect, test } from "bun:test";
import { endpointSlices, endpoints } from "#shared/api/resources.ts";
import { ManualClock } from "#shared/client/clock.ts";
import { silentLog } from "#shared/client/log.ts";
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

const clocks = new Map<string, ManualClock>();
async function started(address: string): Promise<KubernetesEndpoints> {
  const clock = new ManualClock();
  clocks.set(address, clock);
  const master = new KubernetesEndpoints({ client: server.client, address, httpsPort: 6443, log: silentLog, clock });
  await master.start();
  return master;
}

/** Time passes for these masters alone: the others are gone. */
async function pass(ms: number, ...addresses: string[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += 5_000) {
    for (const address of addresses) await clocks.get(address)?.advance(5_000);
    // The round that this began goes through a real server.
    await Bun.sleep(20);
  }
}

test("the kubernetes Service leads to the masters that serve, whichever of them are left", async () => {
  const [first, second] = [await started("10.0.0.1"), await started("10.0.0.2")];
  await started("10.0.0.3");
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  // One that ends in good order takes itself off the list.
  await second.stop();
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.3"]);
  // One that dies is seen to renew no more, by the clock of who looks.
  await pass(15_000, "10.0.0.1");
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.3"]);
  await pass(60_000, "10.0.0.1");
  expect(await listed()).toEqual(["10.0.0.1"]);
  // And it is back as soon as it serves again.
  const again = await started("10.0.0.3");
  expect(await listed()).toEqual(["10.0.0.1", "10.0.0.3"]);
  await again.stop();
  await first.stop();
});
