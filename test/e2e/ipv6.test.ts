import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { inUrl } from "#shared/http/host-port.ts";
import { image, startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(400_000);

/** Boards that have IPv6 addresses alone, each worker in a subnet of its own. */
interface Kind {
  readonly title: string;
  readonly name: string;
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly families: readonly ("IPv6" | "IPv4")[];
}

describeCluster({
  title: "a cluster of IPv6 and then IPv4",
  name: "six",
  clusterCidr: "fd42::/56,10.42.0.0/16",
  serviceCidr: "fd43::/112,10.43.0.0/16",
  families: ["IPv6", "IPv4"],
});
describeCluster({
  title: "a cluster of IPv6 alone",
  name: "only6",
  clusterCidr: "fd42::/56",
  serviceCidr: "fd43::/112",
  families: ["IPv6"],
});

const podIp = { IPv6: String.raw`fd42:\S+`, IPv4: String.raw`10\.42\.\S+` } as const;
const serviceIp = { IPv6: String.raw`fd43:\S+`, IPv4: String.raw`10\.43\.\S+` } as const;

function describeCluster({ title, name, clusterCidr, serviceCidr, families }: Kind): void {
  const eachOf = (texts: Readonly<Record<"IPv6" | "IPv4", string>>): RegExp =>
    new RegExp(`^${families.map((family) => texts[family]).join(" ")}$`);

  describe(title, () => {
    let it: TestCluster;
    beforeAll(async () => {
      it = await startCluster({
        name,
        family: "IPv6",
        workers: 2,
        apart: true,
        masterAgent: false,
        masterArgs: [`--cluster-cidr=${clusterCidr}`, `--service-cidr=${serviceCidr}`],
      });
      it.apply([...webApp("web", 2), client("one", "worker-1", 8099), client("two", "worker-2")]);
      await it.until(/^2$/, "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}");
      for (const pod of ["one", "two"])
        await it.until(/^Running$/, "get", "pod", pod, "-o", "jsonpath={.status.phase}");
    });
    afterAll(() => it?.stop());

    const inPod = (pod: string, script: string): string => it.kubectl("exec", pod, "--", "sh", "-c", script);
    const untilInPod = (pod: string, pattern: RegExp, script: string): Promise<string> =>
      it.until(pattern, "exec", pod, "--", "sh", "-c", script);
    const field = (kind: string, object: string, path: string, ...more: string[]): string =>
      it.kubectl("get", kind, object, ...more, "-o", `jsonpath={${path}}`);
    const addressOf = (board: string): string => it.cluster.host(board).board.address;
    const asking = (address: string, port: number): string =>
      `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${address} ${port} | head -n 1; true`;
    /** From this machine, which is none of the boards. */
    const fetched = async (address: string, port: number | string): Promise<string> => {
      const request = fetch(`http://${inUrl(address)}:${port}/`, { signal: AbortSignal.timeout(5_000) });
      return request.then(
        (answer) => answer.text(),
        () => "",
      );
    };
    const eventually = async (address: string, port: number | string): Promise<void> => {
      while ((await fetched(address, port)) === "") await Bun.sleep(200);
    };

    test("boards, masters, pods and Services have IPv6 addresses first", () => {
      expect(it.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")).toBe(
        `https://[${addressOf("master-1")}]:6443`,
      );
      const internal = '.status.addresses[?(@.type=="InternalIP")].address';
      expect(field("node", "worker-1", internal)).toBe(addressOf("worker-1"));
      expect(field("node", "worker-1", ".spec.podCIDRs[*]")).toMatch(eachOf(podIp));
      expect(field("pod", "one", ".status.podIPs[*].ip")).toMatch(eachOf(podIp));
      expect(field("pod", "one", ".status.podIP")).toStartWith("fd42:");
      expect(field("pod", "one", ".status.hostIPs[*].ip")).toBe(addressOf("worker-1"));
      expect(field("service", "kubernetes", ".spec.clusterIPs[*]")).toBe("fd43::1");
      expect(field("endpointslice", "kubernetes", ".addressType")).toBe("IPv6");
      expect(field("endpointslice", "kubernetes", ".endpoints[*].addresses[*]")).toBe(addressOf("master-1"));
      expect(field("service", "kube-dns", ".spec.clusterIP", "-n", "kube-system")).toBe("fd43::a");
      expect(field("service", "web", ".spec.ipFamilies[*]")).toBe("IPv6");
    });

    test("pods of different boards reach each other through the tunnel, whole packets too, and the master", async () => {
      const mtu = Number(inPod("one", "cat /sys/class/net/eth0/mtu"));
      expect(mtu).toBe(1430);
      const headers_bytes = { IPv6: 48, IPv4: 28 } as const;
      for (const [index, ip] of field("pod", "two", ".status.podIPs[*].ip").split(" ").entries()) {
        const family = families[index] ?? "IPv6";
        const size = String(mtu - headers_bytes[family]);
        const flag = family === "IPv6" ? "-6" : "-4";
        // A board hears of another when its pods may run already.
        const ping = ["ping", flag, "-c", "2", "-W", "5", "-s", size, ip];
        await it.until(/2 packets received/, "exec", "one", "--", ...ping);
      }
      // What leaves the cluster carries the board's address: the master knows no way to pods.
      await untilInPod("one", /1 packets received/, `ping -6 -c 1 -W 5 ${addressOf("master-1")}`);
      await untilInPod("one", /open/, "nc -w 5 $KUBERNETES_SERVICE_HOST 443 </dev/null && echo open");
    });

    test("a Service answers in each family, by name too; names of addresses are known", async () => {
      it.kubectl("patch", "service", "web", "-p", JSON.stringify({ spec: { ipFamilyPolicy: "PreferDualStack" } }));
      const ips = field("service", "web", ".spec.clusterIPs[*]");
      expect(ips).toMatch(eachOf(serviceIp));
      for (const ip of ips.split(" ")) await it.until(/200/, "exec", "one", "--", "sh", "-c", asking(ip, 80));
      expect(inPod("one", "cat /etc/resolv.conf")).toContain("nameserver fd43::a\n");
      const look = (what: string): string[] => ["exec", "one", "--", "sh", "-c", `nslookup ${what} 2>&1; true`];
      const [six = ""] = ips.split(" ");
      await it.until((output) => output.includes(six), ...look("-type=aaaa web.default.svc.cluster.local."));
      await it.until(/web\.default\.svc\.cluster\.local/, ...look(six));
    });

    test("node ports, host ports and load balancers are answered at a board's IPv6 address, from outside", async () => {
      const balancer = { ...(webApp("balanced", 0)[1] as { spec: object }), metadata: { name: "balanced" } };
      const ports = [{ port: 8098, targetPort: 8080 }];
      it.apply({ ...balancer, spec: { type: "LoadBalancer", selector: { app: "web" }, ports } });
      await eventually(addressOf("worker-1"), field("service", "web", ".spec.ports[0].nodePort"));
      await eventually(addressOf("worker-1"), 8099);
      const path = "jsonpath={.status.loadBalancer.ingress[0].ip}";
      await eventually(await it.until(/^fd02:/, "get", "service", "balanced", "-o", path), 8098);
    });

    test("a NetworkPolicy holds for IPv6: who is selected comes in, others do not, by blocks too", async () => {
      const ingress = (from: object): object => ({
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: "web" },
        spec: { podSelector: { matchLabels: { app: "web" } }, ingress: [{ from: [from], ports: [{ port: 8080 }] }] },
      });
      const ip = field("pod", "-l=app=web", ".items[0].status.podIP");
      const may = (pod: string): Promise<string> => it.until(/200/, "exec", pod, "--", "sh", "-c", asking(ip, 8080));
      const mayNot = (pod: string): Promise<string> => it.until(/^$/, "exec", pod, "--", "sh", "-c", asking(ip, 8080));
      await may("two");
      it.apply(ingress({ podSelector: { matchLabels: { name: "one" } } }));
      await mayNot("two");
      await may("one");
      const two = field("pod", "two", ".status.podIP");
      it.apply(ingress({ ipBlock: { cidr: "fd42::/56", except: [`${two}/128`] } }));
      await mayNot("two");
      await may("one");
      it.kubectl("delete", "networkpolicy", "web");
      await may("two");
    });

    test("a board with several addresses of one family: its pods name the main one", async () => {
      it.cluster.host("worker-1").exec(["ip", "address", "add", "fd02:1::77/64", "dev", "eth0", "nodad"]);
      it.apply(client("late", "worker-1", undefined, true));
      await it.until(/^Running$/, "get", "pod", "late", "-o", "jsonpath={.status.phase}");
      expect(field("pod", "late", ".status.podIPs[*].ip")).toBe(addressOf("worker-1"));
      expect(field("pod", "late", ".status.hostIPs[*].ip")).toBe(addressOf("worker-1"));
    });
  });
}

/** A pod that is asked from; it answers at a host port itself if it has one. */
const client = (name: string, node: string, hostPort?: number, hostNetwork = false): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { name } },
  spec: {
    nodeName: node,
    hostNetwork,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: "main",
        image,
        command: [
          "sh",
          "-c",
          hostPort ? "echo here >/tmp/index.html && exec httpd -f -p 8080 -h /tmp" : "sleep 100000",
        ],
        ...(hostPort ? { ports: [{ containerPort: 8080, hostPort }] } : {}),
      },
    ],
  },
});
