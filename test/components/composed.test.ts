/** Every component by itself, composed with each other and with upstream's API server. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { renderKubeconfig } from "#shared/pki/kubeconfig.ts";
import { canRunDockerd, testImage } from "../support/dockerd.ts";
import { address, ComposedCluster, clusterCidr, nodeName, serviceCidr, upstreamBinaries } from "./composed-cluster.ts";

setDefaultTimeout(300_000);

const token = { id: "abcdef", secret: "0123456789abcdef" };

/** What kubeadm makes so that boards may ask for their first certificate. */
const bootstrapObjects = [
  {
    apiVersion: "v1",
    kind: "Secret",
    type: "bootstrap.kubernetes.io/token",
    metadata: { name: `bootstrap-token-${token.id}`, namespace: "kube-system" },
    stringData: {
      "token-id": token.id,
      "token-secret": token.secret,
      "usage-bootstrap-authentication": "true",
      "auth-extra-groups": "system:bootstrappers:composed",
    },
  },
  ...[
    ["composed:bootstrap", "system:node-bootstrapper"],
    ["composed:approve", "system:certificates.k8s.io:certificatesigningrequests:nodeclient"],
  ].map(([name, role]) => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:bootstrappers:composed" }],
  })),
];

const labels = { app: "web" };
const web = [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: "web",
              image: testImage,
              imagePullPolicy: "Never",
              command: [
                "sh",
                "-c",
                "echo serving; mkdir /www; hostname >/www/index.html; exec httpd -f -p 8080 -h /www",
              ],
            },
          ],
          terminationGracePeriodSeconds: 0,
        },
      },
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "default" },
    spec: { selector: labels, clusterIP: "10.43.0.80", ports: [{ port: 80, targetPort: 8080 }] },
  },
];

const kinds = [
  ["Bramble's API server", "bramble", canRunDockerd()],
  ["upstream's API server", "upstream", canRunDockerd() && existsSync(join(upstreamBinaries, "kube-apiserver"))],
] as const;

for (const [title, kind, isPossible] of kinds) {
  describe.if(isPossible)(`the components with ${title} over etcd`, () => {
    let cluster: ComposedCluster;

    const apply = (...objects: readonly object[]): void => {
      const file = cluster.path("objects.yaml");
      writeFileSync(file, objects.map((object) => stringify(object)).join("---\n"));
      cluster.kubectl("apply", "--server-side", "-f", file);
    };

    beforeAll(async () => {
      cluster = await ComposedCluster.start(kind);
    });
    afterAll(async () => {
      await cluster?.stop();
    });

    test("scheduler and controller manager, at upstream's ports", async () => {
      const { certificate, key, accounts } = cluster.signingFiles;
      cluster.startComponent(
        "scheduler",
        `--kubeconfig=${cluster.kubeconfig("scheduler")}`,
        "--bind-address=127.0.0.1",
      );
      cluster.startComponent(
        "controller-manager",
        `--kubeconfig=${cluster.kubeconfig("controller-manager")}`,
        `--root-ca-file=${certificate}`,
        `--cluster-signing-cert-file=${certificate}`,
        `--cluster-signing-key-file=${key}`,
        `--service-account-private-key-file=${accounts}`,
        `--cluster-cidr=${clusterCidr}`,
        "--bind-address=127.0.0.1",
      );
      for (const port of [10_259, 10_257]) {
        await cluster.until(
          `health at ${port}`,
          () => cluster.get(`https://127.0.0.1:${port}/healthz`).text === "ok" || undefined,
        );
        expect(cluster.get(`https://127.0.0.1:${port}/metrics`).code).toBe(403);
      }
      await cluster.until("a default account", () => cluster.kubectl("get", "serviceaccount", "default", "-o", "name"));
    });

    test("a kubelet that gets its first certificate by a bootstrap token", async () => {
      apply(...bootstrapObjects);
      const { servers, credentials } = loadKubeconfig(cluster.adminKubeconfig);
      const bootstrap = cluster.path("bootstrap.kubeconfig");
      const caCertificatePem = credentials().ca ?? "";
      const server = servers[0] ?? "";
      writeFileSync(
        bootstrap,
        renderKubeconfig({ server, caCertificatePem, credentials: { token: `${token.id}.${token.secret}` } }),
      );
      const config = cluster.path("kubelet.yaml");
      writeFileSync(
        config,
        stringify({
          apiVersion: "kubelet.config.k8s.io/v1beta1",
          kind: "KubeletConfiguration",
          staticPodPath: cluster.path("manifests"),
          podLogsDir: cluster.path("log", "pods"),
          containerRuntimeEndpoint: `unix://${cluster.machine.socketPath}`,
          clusterDNS: ["10.43.0.10"],
          clusterDomain: "cluster.local",
          authentication: { x509: { clientCAFile: cluster.signingFiles.certificate }, webhook: { enabled: true } },
          authorization: { mode: "Webhook" },
          kubeReserved: { memory: "64Mi" },
          // The machine's own groups are not this board's.
          cgroupRoot: "/bramble-composed",
          nodeLeaseDurationSeconds: 20,
        }),
      );
      cluster.startComponent(
        "kubelet",
        `--config=${config}`,
        `--kubeconfig=${cluster.path("kubelet.kubeconfig")}`,
        `--bootstrap-kubeconfig=${bootstrap}`,
        `--hostname-override=${nodeName}`,
        `--node-ip=${address}`,
        "--node-labels=example.com/shelf=3",
        `--root-dir=${cluster.path("kubelet")}`,
        `--run-dir=${cluster.path("run")}`,
        `--cni-conf-dir=${cluster.path("cni")}`,
        `--cluster-cidr=${clusterCidr}`,
      );
      await cluster.until("a Node that is ready", () =>
        cluster.kubectl("wait", "--for=condition=Ready", `node/${nodeName}`, "--timeout=1s"),
      );
      expect(cluster.kubectl("get", "node", "-l", "example.com/shelf=3", "-o", "name")).toContain(nodeName);
      expect(cluster.kubectl("get", "csr", "-o", "jsonpath={.items[*].spec.username}")).toContain(
        `system:bootstrap:${token.id}`,
      );
      expect(cluster.get("http://127.0.0.1:10248/healthz").text).toBe("ok");
      expect(cluster.get(`https://${address}:10250/pods`).code).toBe(401);
      const lease = cluster.kubectl("get", "lease", "-n", "kube-node-lease", nodeName, "-o", "jsonpath={.spec}");
      expect(JSON.parse(lease)).toMatchObject({ holderIdentity: nodeName, leaseDurationSeconds: 20 });
      const configz = cluster.kubectl("get", "--raw", `/api/v1/nodes/${nodeName}/proxy/configz`);
      expect(JSON.parse(configz).kubeletconfig).toMatchObject({ clusterDNS: ["10.43.0.10"], port: 10_250 });
    });

    test("pods run, are served by the proxy, and are reached by kubectl", async () => {
      cluster.startComponent(
        "proxy",
        `--kubeconfig=${cluster.kubeconfig("proxy")}`,
        `--hostname-override=${nodeName}`,
        `--cluster-cidr=${clusterCidr}`,
        `--service-cidr=${serviceCidr}`,
        "--disable=dns",
      );
      apply(...web);
      await cluster.until("the deployment", () =>
        cluster.kubectl("rollout", "status", "deployment/web", "--timeout=1s"),
      );
      const seen = new Set<string>();
      await cluster.until("both pods to answer by the Service", () => {
        const { code, text } = cluster.get("http://10.43.0.80/");
        if (code === 200) seen.add(text.trim());
        return seen.size === 2 || undefined;
      });
      expect(cluster.kubectl("logs", "deployment/web")).toContain("serving");
      expect(seen).toContain(cluster.kubectl("exec", "deployment/web", "--", "hostname").trim());
      const health = cluster.get("http://127.0.0.1:10256/healthz");
      expect(health.code).toBe(200);
      expect(JSON.parse(health.text)).toMatchObject({ nodeEligible: true });
      expect(cluster.get("http://127.0.0.1:10249/proxyMode").text).toBe("iptables");
      expect(cluster.get("http://127.0.0.1:10249/metrics").text).toContain(
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
      );
    });

    test("a static pod of the kubelet's folder is shown", async () => {
      const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "fixed", namespace: "default" },
        spec: {
          hostNetwork: true,
          containers: [{ name: "c", image: testImage, imagePullPolicy: "Never", command: ["sleep", "10000"] }],
        },
      };
      writeFileSync(cluster.path("manifests", "fixed.yaml"), stringify(pod));
      await cluster.until("its mirror", () =>
        cluster.kubectl("wait", "--for=condition=Ready", `pod/fixed-${nodeName}`, "--timeout=1s"),
      );
    });

    test("only the API server is connected to etcd, and components meet nowhere but there", () => {
      const connected = [...cluster.processes]
        .filter(([, { pid }]) => hasConnectionTo(pid, 2379))
        .map(([name]) => name);
      // etcd has the other ends, at its own port.
      expect(connected.filter((name) => name !== "etcd")).toEqual([
        kind === "bramble" ? "apiserver" : "kube-apiserver",
      ]);
      const apiPort = 6443;
      for (const name of ["scheduler", "controller-manager", "kubelet", "proxy"]) {
        const { pid = 0 } = cluster.processes.get(name) ?? {};
        const others = peersOf(pid).filter(
          ({ remotePort, localPort }) => remotePort !== apiPort && !servedPorts.has(localPort),
        );
        expect({ name, others }).toEqual({ name, others: [] });
        expect(hasConnectionTo(pid, apiPort)).toBe(true);
      }
    });
  });
}

/** Ports at which components serve: who asks them there is not looked for. */
const servedPorts = new Set([10_248, 10_249, 10_250, 10_256, 10_257, 10_259]);

interface Peer {
  readonly localPort: number;
  readonly remotePort: number;
}

const hasConnectionTo = (pid: number, port: number): boolean =>
  peersOf(pid).some(({ remotePort }) => remotePort === port);

/** The TCP connections that a process holds, by its descriptors and the tables of its network namespace. */
function peersOf(pid: number): Peer[] {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        // Closed between the two looks.
        return [];
      }
    }),
  );
  const established = "01";
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "utf8")
      .split("\n")
      .slice(1)
      .flatMap((line) => {
        const [, local = "", remote = "", state, , , , , , inode = ""] = line.trim().split(/\s+/);
        if (state !== established || !sockets.has(inode)) return [];
        const portOf = (text: string): number => Number.parseInt(text.split(":")[1] ?? "", 16);
        return [{ localPort: portOf(local), remotePort: portOf(remote) }];
      }),
  );
}
