/** Client libraries of other languages, unmodified, at a cluster of the compiled binary: each finds what it found at upstream's. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { clients, isInstalled, runClient, saidUpstream, webPod } from "../clients/clients.ts";
import { startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(400_000);

describe.skipIf(!clients.some(isInstalled))("a cluster of one master and one worker", () => {
  let it: TestCluster;
  beforeAll(async () => {
    it = await startCluster({ name: "client", workers: 1 });
    it.apply(webPod);
    it.kubectl("wait", "--for=condition=Ready", `pod/${webPod.metadata.name}`, "--timeout=180s");
  });
  afterAll(() => it.stop());

  for (const client of clients) {
    test.skipIf(!isInstalled(client))(`${client.name} finds what it finds at upstream's`, async () => {
      const said = await runClient(client, it.kubeconfig);
      expect(said.split("\n")).toEqual(saidUpstream(client).split("\n"));
    });
  }
});
