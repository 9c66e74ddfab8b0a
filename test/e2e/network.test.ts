import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { networkNamespace } from "#tools/local-cluster/lan.ts";
import type { AskerReport } from "../support/dns-asker.ts";
import { image, startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(400_000);

describe("the network of boards", () => {
  let it: TestCluster;

  beforeAll(async () => {
    it = await startCluster({ name: "net", network: "10.207", workers: 2 });
    it.apply([...webApp("web", 2), client("one", "worker-1"), client("two", "worker-2")]);
    await it.until(/^2$/, "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}");
    for (const pod of ["one", "two"]) await it.until(/^Running$/, "get", "pod", pod, "-o", "jsonpath={.status.phase}");
  });
  afterAll(() => it?.stop());

  const inPod = (pod: string, script: string): string => it.kubectl("exec", pod, "--", "sh", "-c", script);

  /** Asks the DNS of a board over and over while something happens there. */
  async function askWhile(board: string, name: string, happens: () => Promise<void>): Promise<AskerReport> {
    const address = it.kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}");
    const namespace = networkNamespace(it.cluster.lan, board);
    const script = join(import.meta.dir, "../support/dns-asker.ts");
    const asker = spawn("nsenter", [
      `--net=/run/netns/${namespace}`,
      process.execPath,
      script,
      "10.43.0.10",
      `${name}.default.svc.cluster.local`,
      address,
    ]);
    let output = "";
    asker.stdout.on("data", (data: Buffer) => {
      output += data.toString();
    });
    const ended = new Promise((resolve) => asker.once("close", resolve));
    await happens();
    asker.stdin.end();
    await ended;
    return JSON.parse(output) as AskerReport;
  }

  test("a restart of the agent fails no query", async () => {
    const worker = it.cluster.host("worker-1");
    const report = await askWhile("worker-1", "web", async () => {
      await Bun.sleep(1000);
      await worker.stopBramble("SIGTERM");
      worker.startBramble();
      await Bun.sleep(6000);
    });
    console.log(`DNS over a restart of the agent: ${JSON.stringify(report)}`);
    expect(report).toMatchObject({ failed: 0, refusals: [] });
    expect(report.asked).toBeGreaterThan(100);
  });

  test("DNS settings hold as soon as their ConfigMap is there, and end with it", async () => {
    const settings = (data: object): object => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "coredns-custom", namespace: "kube-system" },
      data,
    });
    const answer = (pod: string): string => inPod(pod, "nslookup printer.example. 2>&1; true");
    it.apply(settings({ "hosts.override": "hosts {\n 192.0.2.77 printer.example\n fallthrough\n}" }));
    for (const pod of ["one", "two"]) {
      await it.until(/192\.0\.2\.77/, "exec", pod, "--", "sh", "-c", "nslookup printer.example. 2>&1; true");
    }
    it.kubectl("delete", "configmap", "-n", "kube-system", "coredns-custom");
    await it.until(
      (output) => !output.includes("192.0.2.77"),
      "exec",
      "one",
      "--",
      "sh",
      "-c",
      "nslookup printer.example. 2>&1; true",
    );
    expect(answer("one")).not.toContain("192.0.2.77");
  });
});

/** A pod that does nothing but what it is told to. */
function client(name: string, board: string): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      nodeName: board,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "main", image, command: ["sleep", "infinity"] }],
    },
  };
}
