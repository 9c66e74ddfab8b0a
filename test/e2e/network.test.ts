import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { scratchImageArchive } from "#agent/runtime/scratch-image.ts";
import { networkNamespace } from "#tools/local-cluster/lan.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import type { AskerReport } from "../support/dns-asker.ts";
import { image, patience_s, probe_s, startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(400_000);

/** Built by the conformance kit (test/conformance/build.sh). */
const coredns = join(process.env["EXAM_CACHE"] ?? join(homedir(), ".cache/cluster-exam"), "bin/coredns");
const coreDnsImage = "docker.io/bramble-test/coredns:1";

describe("the network of boards", () => {
  let it: TestCluster;

  beforeAll(async () => {
    it = await startCluster({ name: "net", workers: 2, apart: true });
    it.apply([...webApp("web", 2), client("one", "worker-1"), client("two", "worker-2")]);
    await it.until(/^2$/, "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}");
    for (const pod of ["one", "two"]) await it.until(/^Running$/, "get", "pod", pod, "-o", "jsonpath={.status.phase}");
  });
  afterAll(() => it?.stop());

  const inPod = (pod: string, script: string): string => it.kubectl("exec", pod, "--", "sh", "-c", script);
  const untilInPod = (pod: string, pattern: Parameters<TestCluster["until"]>[0], script: string): Promise<string> =>
    it.until(pattern, "exec", pod, "--", "sh", "-c", script);

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
    await new Promise((resolve) => asker.stdout.once("data", resolve));
    await happens();
    asker.stdin.end();
    await ended;
    return JSON.parse(output) as AskerReport;
  }

  const podIp = (pod: string): string => it.kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP}");

  test("boards in different subnets: pods reach each other by the tunnel, whole packets too, and Services", async () => {
    const there = podIp("two");
    // A board hears of another when its pods may run already.
    await it.until(/2 packets received/, "exec", "one", "--", "ping", "-c", "2", "-W", "5", there);
    expect(it.cluster.host("worker-1").exec(["ip", "route"])).toContain("dev bramble.vxlan");
    // Nothing that pods send has to be cut up on its way.
    const mtu = Number(inPod("one", "cat /sys/class/net/eth0/mtu"));
    expect(mtu).toBe(1450);
    expect(it.cluster.host("worker-1").exec(["ip", "link", "show", "bramble.vxlan"])).toContain(`mtu ${mtu} `);
    await untilInPod("one", /1 packets received/, `ping -c 1 -W 5 -s ${mtu - 28} ${there}`);
    const service = it.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}");
    const answered = new Set<string>();
    await waitFor("answers of both pods", patience_s, () => {
      answered.add(inPod("one", `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${service} 80 | grep '^web-' || true`));
      answered.delete("");
      return answered.size === 2 || undefined;
    });
  });

  test("a ServiceCIDR gives Services addresses, which boards serve as any other, and stays until none is left", async () => {
    it.apply({
      apiVersion: "networking.k8s.io/v1",
      kind: "ServiceCIDR",
      metadata: { name: "more" },
      spec: { cidrs: ["10.208.0.0/28"] },
    });
    const ready = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
    await it.until(/^True$/, "get", "servicecidr", "more", "-o", ready);
    const address = "10.208.0.9";
    it.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "added" },
      spec: { clusterIP: address, selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
    });
    await it.until(/added/, "get", "ipaddress", address, "-o", "jsonpath={.spec.parentRef.name}");
    const ask = (to: string): string[] => [
      ...["exec", "one", "--", "sh", "-c"],
      `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${to} 80 2>&1 | head -n 1; true`,
    ];
    await it.until(/200/, ...ask(address));
    await untilInPod("one", /added\.default\.svc\.cluster\.local/, `nslookup ${address} 2>&1; true`);
    await it.until(/refused/i, ...ask("10.208.0.10"));
    it.kubectl("delete", "servicecidr", "more", "--wait=false");
    await it.until(/^False$/, "get", "servicecidr", "more", "-o", ready);
    await untilInPod("one", new RegExp(address), "nslookup added.default.svc.cluster.local. 2>&1; true");
    it.kubectl("delete", "service", "added");
    await it.until((output) => !output.includes("more"), "get", "servicecidrs", "-o", "name");
  });

  test("a plugin that a DaemonSet drops takes over for new pods; those that run are not touched", async () => {
    const identity = (pod: string): string =>
      it.kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP} {.status.containerStatuses[0].containerID}");
    const [before, itsIp] = [identity("one"), podIp("one")];
    it.apply(pluginInstaller());
    await it.until(/^2$/, "get", "daemonset", "plugin", "-o", "jsonpath={.status.numberReady}");
    it.apply(client("newcomer", "worker-1"));
    await it.until(/^Running$/, "get", "pod", "newcomer", "-o", "jsonpath={.status.phase}");
    expect(podIp("newcomer")).toStartWith("10.99.0.");
    await untilInPod("newcomer", /1 packets received/, `ping -c 1 -W 5 ${itsIp}`);
    expect(identity("one")).toBe(before);
    await untilInPod("one", /1 packets received/, `ping -c 1 -W 5 ${podIp("two")}`);
    const leases = (): string =>
      it.cluster
        .host("worker-1")
        .exec(["sh", "-c", "ls /var/lib/cni/networks/other 2>/dev/null | grep -c '^10.99' || true"]);
    expect(leases().trim()).toBe("1");
    // The plugin goes, with its configuration, while a pod is on its network: that pod ends in good order all the same.
    it.kubectl("delete", "daemonset", "plugin");
    await it.until((output) => !output.includes("plugin"), "get", "pods", "-o", "name");
    it.apply(client("latecomer", "worker-1"));
    await it.until(/^Running$/, "get", "pod", "latecomer", "-o", "jsonpath={.status.phase}");
    expect(podIp("latecomer")).toStartWith("10.42.");
    it.kubectl("delete", "pod", "newcomer", "latecomer");
    await waitFor("its address to be free again", patience_s, () => leases().trim() === "0" || undefined);
    expect(identity("one")).toBe(before);
  });

  test("a restart of the agent fails no query", async () => {
    const worker = it.cluster.host("worker-1");
    const report = await askWhile("worker-1", "web", async () => {
      await worker.stopBramble("SIGTERM");
      worker.startBramble();
      await Bun.sleep(6000);
    });
    console.log(`DNS over a restart of the agent: ${JSON.stringify(report)}`);
    expect(report).toMatchObject({ failed: 0, refusals: [] });
    // Six seconds' worth and more, of a machine that is busy too.
    expect(report.asked).toBeGreaterThan(20);
  });

  test("DNS settings hold as soon as their ConfigMap is there, and end with it", async () => {
    const settings = (data: object): object => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "coredns-custom", namespace: "kube-system" },
      data,
    });
    const look = "nslookup printer.example. 2>&1; true";
    it.apply(settings({ "hosts.override": "hosts {\n 192.0.2.77 printer.example\n fallthrough\n}" }));
    for (const pod of ["one", "two"]) await untilInPod(pod, /192\.0\.2\.77/, look);
    it.kubectl("delete", "configmap", "-n", "kube-system", "coredns-custom");
    for (const pod of ["one", "two"]) await untilInPod(pod, (answer) => !answer.includes("192.0.2.77"), look);
  });

  test.skipIf(!existsSync(coredns))(
    "with --disable dns a CoreDNS of one's own answers at the same address",
    async () => {
      const archive = join(it.cluster.dir, "coredns.tar");
      writeFileSync(archive, coreDnsArchive());
      await it.cluster.load(archive, () => undefined);
      for (const name of ["master-1", "worker-1", "worker-2"]) {
        await it.cluster.host(name).stopBramble("SIGTERM");
        it.cluster.host(name).startBramble(["--disable", "dns"]);
      }
      await it.until(/./, "get", "nodes");
      it.apply(coreDnsObjects());
      await it.until(
        /^1$/,
        "get",
        "-n",
        "kube-system",
        "deployment",
        "coredns",
        "-o",
        "jsonpath={.status.readyReplicas}",
      );
      const address = it.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}");
      for (const pod of ["one", "two"]) {
        await it.until(new RegExp(address), "exec", pod, "--", "nslookup", "web.default.svc.cluster.local.");
      }
      expect(it.cluster.host("worker-1").exec(["ip", "address", "show", "lo"])).not.toContain("10.43.0.10");
      await it.until(/web\.default\.svc\.cluster\.local\./, "logs", "-n", "kube-system", "deployment/coredns");
    },
  );
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

/** A DaemonSet as network plugins bring theirs: it puts a program and a configuration on the board, and takes the
 *  configuration away when it ends. The program is another one's under a name of its own. */
function pluginInstaller(): object {
  const configuration = {
    cniVersion: "1.0.0",
    name: "other",
    plugins: [
      {
        type: "other-ptp",
        ipam: { type: "host-local", ranges: [[{ subnet: "10.99.0.0/24" }]], routes: [{ dst: "0.0.0.0/0" }] },
      },
    ],
  };
  const script = `
    cp /plugins/ptp /opt-cni/other-ptp
    printf '%s' '${JSON.stringify(configuration)}' >/net.d/new && mv /net.d/new /net.d/10-other.conflist
    trap 'rm /net.d/10-other.conflist; exit 0' TERM
    touch /tmp/ready
    while true; do sleep 0.1; done`;
  const folder = (name: string, path: string): object => ({ name, hostPath: { path, type: "DirectoryOrCreate" } });
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: "plugin" },
    spec: {
      selector: { matchLabels: { app: "plugin" } },
      template: {
        metadata: { labels: { app: "plugin" } },
        spec: {
          hostNetwork: true,
          terminationGracePeriodSeconds: 10,
          volumes: [folder("plugins", "/usr/lib/cni"), folder("opt", "/opt/cni/bin"), folder("net", "/etc/cni/net.d")],
          containers: [
            {
              name: "install",
              image,
              command: ["sh", "-c", script],
              volumeMounts: [
                { name: "plugins", mountPath: "/plugins", readOnly: true },
                { name: "opt", mountPath: "/opt-cni" },
                { name: "net", mountPath: "/net.d" },
              ],
              readinessProbe: {
                exec: { command: ["test", "-e", "/tmp/ready"] },
                periodSeconds: 1,
                timeoutSeconds: probe_s,
              },
            },
          ],
        },
      },
    },
  };
}

function coreDnsArchive(): Uint8Array {
  return scratchImageArchive({
    reference: coreDnsImage,
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    entries: [{ path: "coredns", mode: 0o755, content: readFileSync(coredns) }],
    config: { Entrypoint: ["/coredns"] },
  });
}

/** As any guide to CoreDNS has them. */
function coreDnsObjects(): object[] {
  const metadata = { name: "coredns", namespace: "kube-system" };
  const labels = { "k8s-app": "kube-dns" };
  const corefile = `.:53 {
  errors
  log
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
  }
}`;
  const read = ["list", "watch"];
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "test:coredns" },
      rules: [
        { apiGroups: [""], resources: ["endpoints", "services", "pods", "namespaces"], verbs: read },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "test:coredns" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "test:coredns" },
      subjects: [{ kind: "ServiceAccount", ...metadata }],
    },
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { Corefile: corefile } },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: "coredns",
            dnsPolicy: "Default",
            volumes: [{ name: "config", configMap: { name: "coredns" } }],
            containers: [
              {
                name: "coredns",
                image: coreDnsImage,
                args: ["-conf", "/etc/coredns/Corefile"],
                volumeMounts: [{ name: "config", mountPath: "/etc/coredns" }],
                readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1, timeoutSeconds: probe_s },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "kube-dns", namespace: "kube-system" },
      spec: {
        selector: labels,
        clusterIP: "10.43.0.10",
        ports: [
          { name: "dns", port: 53, protocol: "UDP" },
          { name: "dns-tcp", port: 53, protocol: "TCP" },
        ],
      },
    },
  ];
}
