import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { endpointSlices, nodes } from "#shared/api/resources.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { hostPort, inUrl } from "#shared/http/host-port.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { patience_s, startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(600_000);

const names = ["master-1", "master-2", "master-3"] as const;

/** Three masters on a LAN that has no IPv4, and two boards that find them there by mDNS. */
describe("several masters by IPv6", () => {
  let it: TestCluster;
  let url: (master: string) => string;
  const addressOf = (board: string): string => it.cluster.host(board).board.address;
  const addressesIn = ({ endpoints }: EndpointSlice): string =>
    endpoints
      .flatMap(({ addresses }) => addresses)
      .sort()
      .join();

  beforeAll(async () => {
    it = await startCluster({
      name: "mst6",
      family: "IPv6",
      masters: 3,
      workers: 2,
      finds: true,
      masterAgent: false,
      masterArgs: ["--cluster-cidr=fd42::/56", "--service-cidr=fd43::/112"],
    });
    url = (master) => `https://${hostPort(addressOf(master), 6443)}`;
    it.apply(webApp("web", 2));
    await it.until(/^2$/, "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}");
  });
  afterAll(() => it?.stop());

  test("share etcd, are endpoints of the kubernetes Service, and each reaches pods by a tunnel of its own", async () => {
    expect(it.cluster.etcdctl("member", "list")).toContain(`https://${hostPort(addressOf("master-3"), 2380)}`);
    const all = names.map(addressOf).sort().join();
    // A master that is ready is listed a moment later.
    const slice = await waitFor("a list of all masters", patience_s, async () => {
      const slice = await it.client.get(endpointSlices, { namespace: "default", name: "kubernetes" });
      return addressesIn(slice) === all ? slice : undefined;
    });
    expect(slice.addressType).toBe("IPv6");
    for (const master of names) await it.until(/started/, "--server", url(master), "logs", "deployment/web");
  });

  test("boards of one LAN have routes to each other's pods, and no tunnel", async () => {
    const route = new RegExp(`fd42:.*/64 via ${addressOf("worker-2")} dev eth0 proto 66`);
    // A board hears of another when its pods may run already.
    const routes = await waitFor("a route to the other board's pods", patience_s, () => {
      const routes = it.cluster.host("worker-1").exec(["ip", "-6", "route"]);
      return route.test(routes) ? routes : undefined;
    });
    expect(routes).not.toContain("bramble.vxlan");
  });

  test("the API server's proxies reach pods and Services by IPv6", async () => {
    const pod = it.kubectl("get", "pod", "-l=app=web", "-o", "jsonpath={.items[0].metadata.name}");
    const pods = "/api/v1/namespaces/default/pods";
    await it.until((answer) => answer.trim() === pod, "get", "--raw", `${pods}/${pod}:8080/proxy/`);
    await it.until(/^web-/, "get", "--raw", "/api/v1/namespaces/default/services/web:80/proxy/");
  });

  test("an Ingress is answered at boards' IPv6 addresses", async () => {
    it.apply({
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { name: "web" },
      spec: {
        rules: [
          {
            host: "web.test",
            http: {
              paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "web", port: { number: 80 } } } }],
            },
          },
        ],
      },
    });
    const answered = await waitFor("an answer of the Ingress", patience_s, async () => {
      const request = fetch(`http://${inUrl(addressOf("worker-2"))}/`, {
        headers: { host: "web.test" },
        signal: AbortSignal.timeout(5_000),
      });
      const answer = await request.catch(() => undefined);
      return answer?.ok ? (await answer.text()).trim() : undefined;
    });
    expect(answered).toStartWith("web-");
  });

  test("the line that joins a board has the address in brackets, and the key of who answers there", async () => {
    const { stdout, code } = await it.bramble("master-2", "token", "create", "--print-join");
    expect(code).toBe(0);
    expect(stdout).toContain(`BRAMBLE_URL=${url("master-2")}`);
    expect(stdout).toMatch(/--pinnedpubkey 'sha256\/\/\S+'/);
  });

  test("with the first one gone the others serve, and boards stay Ready by them", async () => {
    const { credentials } = loadKubeconfig(it.kubeconfig);
    const client = new HttpClient({ servers: names.map(url), credentials, timeout_ms: 15_000 });
    await it.cluster.host("master-1").cut();
    const others = names.slice(1).map(addressOf).sort().join();
    await waitFor("a list without it", patience_s, async () => {
      const slice = await client
        .get(endpointSlices, { namespace: "default", name: "kubernetes" })
        .catch(() => undefined);
      return (slice && addressesIn(slice) === others) || undefined;
    });
    // Asked and answered by way of those that are left: the pod's board has its tunnel to them.
    await it.until(/started/, "--server", url("master-2"), "logs", "deployment/web");
    const { items } = await client.list(nodes);
    const isReady = ({ status }: (typeof items)[number]): boolean =>
      status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
    expect(items.filter(isReady).map(({ metadata }) => metadata.name)).toEqual(["worker-1", "worker-2"]);
  });
});
