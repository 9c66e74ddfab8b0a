import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { image, startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(400_000);

const networks = ["--cluster-cidr=10.42.0.0/16,fd42::/56", "--service-cidr=10.43.0.0/16,fd43::/112"];

describe("a cluster of two address families", () => {
  let it: TestCluster;

  beforeAll(async () => {
    it = await startCluster({
      name: "dual",
      workers: 2,
      apart: true,
      masterAgent: false,
      masterArgs: networks,
    });
    it.apply([...webApp("web", 2), client("one", "worker-1"), client("two", "worker-2")]);
    await it.until(/^2$/, "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}");
    for (const pod of ["one", "two"]) await it.until(/^Running$/, "get", "pod", pod, "-o", "jsonpath={.status.phase}");
  });
  afterAll(() => it?.stop());

  const field = (kind: string, name: string, path: string): string =>
    it.kubectl("get", kind, name, "-o", `jsonpath={${path}}`);

  test("boards and pods have addresses of both, and pods of different boards reach each other by IPv6", async () => {
    expect(field("servicecidr", "kubernetes", ".spec.cidrs")).toBe('["10.43.0.0/16","fd43::/112"]');
    expect(field("node", "worker-1", ".spec.podCIDRs[*]")).toMatch(/^10\.42\.\d+\.0\/24 fd42:.*\/64$/);
    const ips = field("pod", "two", ".status.podIPs[*].ip");
    expect(ips).toMatch(/^10\.42\.\S+ fd42:\S+$/);
    const [four = "", six = ""] = ips.split(" ");
    // A board hears of another when its pods may run already.
    for (const [flag, address] of [
      ["-4", four],
      ["-6", six],
    ] as const)
      await it.until(/2 packets received/, ...["exec", "one", "--", "ping", flag, "-c", "2", "-W", "5", address]);
  });

  test("a Service answers at both its addresses, and at one again after it is made single", async () => {
    expect(field("service", "web", ".spec.ipFamilyPolicy")).toBe("SingleStack");
    const patch = (policy: string): string =>
      it.kubectl("patch", "service", "web", "-p", JSON.stringify({ spec: { ipFamilyPolicy: policy } }));
    patch("RequireDualStack");
    const [four = "", six = ""] = field("service", "web", ".spec.clusterIPs[*]").split(" ");
    expect(six).toStartWith("fd43::");
    const ask = (address: string): string[] => [
      "exec",
      "one",
      "--",
      "sh",
      "-c",
      `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${address} 80 | head -n 1; true`,
    ];
    await it.until(/200/, ...ask(six));
    await it.until(/200/, ...ask(four));
    const slices = ["get", "endpointslices", "-l", "kubernetes.io/service-name=web", "-o"];
    await it.until(/^(IPv4 IPv6|IPv6 IPv4)$/, ...slices, "jsonpath={.items[*].addressType}");
    await it.until(
      (output) => output.includes(six),
      "exec",
      "one",
      "--",
      "sh",
      "-c",
      "nslookup -type=aaaa web.default.svc.cluster.local. 2>&1; true",
    );
    patch("SingleStack");
    expect(field("service", "web", ".spec.clusterIPs[*]")).toBe(four);
    await it.until(/^IPv4$/, ...slices, "jsonpath={.items[*].addressType}");
  });
});

const client = (name: string, node: string): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: {
    nodeName: node,
    terminationGracePeriodSeconds: 1,
    containers: [{ name: "main", image, command: ["sleep", "100000"] }],
  },
});
