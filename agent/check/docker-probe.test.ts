import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import Docker from "dockerode";
import { canRunDockerd, startDockerd, type TestDockerd } from "../../test/support/dockerd.ts";
import { adviseDocker } from "./docker-daemon.ts";
import { probeDocker } from "./docker-probe.ts";

setDefaultTimeout(300_000);
const cluster = { clusterCidr: "10.42.0.0/16,fd42::/56", serviceCidr: "10.43.0.0/16" };

describe.skipIf(!canRunDockerd())("a daemon", () => {
  let dockerd: TestDockerd;
  beforeAll(async () => {
    dockerd = await startDockerd();
  });
  afterAll(() => dockerd?.stop());

  test("says what it is set to, and a network of it that takes pods' addresses fails", async () => {
    const facts = await probeDocker(dockerd.socketPath, cluster);
    expect(facts).toMatchObject({ logDriver: "json-file", isLiveRestored: false, isInSwarm: false });
    expect(facts?.dataRoot).toStartWith(dockerd.directory);
    expect(facts?.clusterNetworks.map(({ cidr }) => cidr)).toEqual(["10.42.0.0/16", "fd42::/56", "10.43.0.0/16"]);
    expect(facts && adviseDocker(facts).filter(({ level }) => level === "FAIL")).toEqual([]);
    const IPAM = { Driver: "default", Config: [{ Subnet: "10.42.7.0/24" }] };
    await new Docker({ socketPath: dockerd.socketPath }).createNetwork({ Name: "mine", IPAM });
    const after = await probeDocker(dockerd.socketPath, cluster);
    expect(after && adviseDocker(after).filter(({ level }) => level === "FAIL")).toMatchObject([
      { finding: 'the network "mine" (10.42.7.0/24) takes addresses of cluster-cidr (10.42.0.0/16)' },
    ]);
  });
});

test("where nothing answers, nothing is known", async () => {
  expect(await probeDocker("/run/no-such.sock", cluster)).toBeUndefined();
});
