import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ProxyModeName } from "#agent/proxy/service-proxy.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { IpFamily } from "#shared/net/ip-family.ts";
import { until } from "#shared/testing/until.ts";
import { Fleet, places } from "./fleet.ts";

type Place = "a" | "b" | "remote";

/** What modes may differ in. */
export interface ModeTraits {
  readonly family: IpFamily;
  /** Do endpoints see their client's own address where the policy is Local? */
  readonly keepsClientAddress: boolean;
  /** Do open connections outlive the agent? */
  readonly outlivesAgent: boolean;
  /** Do clients of the board's DNS wait for it while nobody listens there, or are they refused? */
  readonly dnsIsPatient: boolean;
  /** Are node ports answered at the loopback address too? */
  readonly answersOnLoopback: boolean;
}

/** What a Service promises, whatever makes it work: run against every mode on real namespaces. */
export function describeServiceContract(mode: ProxyModeName, traits: ModeTraits): void {
  const { family } = traits;
  const at = places[family];

  describe(`Services by ${mode}, ${family}`, () => {
    let fleet: Fleet;
    beforeAll(async () => {
      fleet = await Fleet.start(mode, family);
    });
    afterAll(() => fleet?.stop());

    const slice = (endpoints: readonly Place[], protocol: string): EndpointSlice =>
      ({
        metadata: { name: "web-1" },
        addressType: family,
        ports: [{ port: 8080, protocol }],
        endpoints: endpoints.map((name) => ({
          addresses: [at.pods[name]],
          nodeName: name === "remote" ? "two" : "one",
          conditions: { ready: true },
        })),
      }) as unknown as EndpointSlice;

    const apply = async (
      endpoints: readonly Place[],
      spec: object = {},
      status: object = {},
      otherSlices: readonly EndpointSlice[] = [],
    ): Promise<void> => {
      const service = {
        metadata: { namespace: "shop", name: "web" },
        spec: {
          clusterIP: at.clusterIp,
          clusterIPs: [at.clusterIp],
          ports: [
            { port: 80, nodePort: 30080, protocol: "TCP" },
            { port: 80, nodePort: 30080, protocol: "UDP" },
          ],
          ...spec,
        },
        status,
      } as Service;
      const slices = { web: [slice(endpoints, "TCP"), slice(endpoints, "UDP"), ...otherSlices] };
      expect(await fleet.proxy.ask({ services: [service], slices })).not.toHaveProperty("error");
    };
    type Protocol = "TCP" | "UDP";
    type Asked = [who: keyof Fleet["peers"], ip: string, port?: number, protocol?: Protocol, from?: number];
    const askFor = (wait_ms: number, ...[who, ip, port = 80, protocol = "TCP", from = 0]: Asked) =>
      fleet.peers[who].ask({ do: "ask", protocol, ip, port, from, wait_ms });
    /** For what must be answered or refused, however long a busy machine takes over it. */
    const ask = (...asked: Asked) => askFor(60_000, ...asked);
    /** For what is not answered. */
    const tryToAsk = (...asked: Asked) => askFor(1_500, ...asked);
    /** Who answered, and whom it took for its client; of several tries. */
    const answers = async (tries: number, ...args: Asked): Promise<string[]> => {
      const all: string[] = [];
      for (let index = 0; index < tries; index++) {
        const { text, error } = await ask(...args);
        all.push(text ?? `error: ${error}`);
      }
      return all;
    };
    const names = async (tries: number, ...args: Asked): Promise<string[]> =>
      [...new Set((await answers(tries, ...args)).map((line) => line.split(" ")[0] ?? ""))].sort();
    /** Each of them answers, and nobody else. Whose turn it is may be chance: it is asked on until all have had theirs. */
    const expectAll = async (expected: readonly Place[], ...args: Asked): Promise<void> => {
      const seen = new Set<string>();
      for (let round = 0; round < 50 && seen.size < expected.length; round++)
        for (const name of await names(4, ...args)) seen.add(name);
      expect([...seen].sort()).toEqual([...expected]);
    };
    const protocols = ["TCP", "UDP"] as const;

    test("a cluster address is answered by every endpoint, for pods, the board and other boards' pods", async () => {
      await apply(["a", "b", "remote"]);
      for (const protocol of protocols) {
        await expectAll(["a", "b", "remote"], "a", at.clusterIp, 80, protocol);
        await expectAll(["a", "b", "remote"], "host", at.clusterIp, 80, protocol);
        await expectAll(["a", "b", "remote"], "remote", at.clusterIp, 80, protocol);
      }
    });

    test("hairpin: a pod reaches itself through its Service", async () => {
      await apply(["a"]);
      for (const protocol of protocols) expect(await names(2, "a", at.clusterIp, 80, protocol)).toEqual(["a"]);
    });

    test("a node port is answered at every address of the board, from outside and from the board", async () => {
      await apply(["a", "remote"], { type: "NodePort" });
      for (const protocol of protocols) {
        await expectAll(["a", "remote"], "outside", at.board, 30080, protocol);
        await expectAll(["a", "remote"], "host", at.board, 30080, protocol);
        await expectAll(["a", "remote"], "b", at.gateway, 30080, protocol);
      }
      const loopback = family === "IPv4" ? "127.0.0.1" : "::1";
      if (traits.answersOnLoopback) await expectAll(["a", "remote"], "host", loopback, 30080);
      // Left to what listens there itself: nothing does.
      else expect(await ask("host", loopback, 30080)).toMatchObject({ error: "ECONNREFUSED" });
    });

    test("external addresses and those of a load balancer lead to it", async () => {
      await apply(["a"], { externalIPs: [at.externalIp] }, { loadBalancer: { ingress: [{ ip: at.balancerIp }] } });
      for (const protocol of protocols) {
        expect(await names(1, "outside", at.externalIp, 80, protocol)).toEqual(["a"]);
        expect(await names(1, "outside", at.balancerIp, 80, protocol)).toEqual(["a"]);
        expect(await names(1, "b", at.externalIp, 80, protocol)).toEqual(["a"]);
      }
    });

    test("only a load balancer's source ranges may come in by its addresses", async () => {
      const status = { loadBalancer: { ingress: [{ ip: at.balancerIp }] } };
      const ranges = (range: string): Promise<void> =>
        apply(["a"], { type: "LoadBalancer", loadBalancerSourceRanges: [range] }, status);
      await ranges(family === "IPv4" ? "203.0.113.0/24" : "2001:db8:1::/48");
      expect(await tryToAsk("outside", at.balancerIp)).toHaveProperty("error");
      expect(await names(1, "outside", at.board, 30080)).toEqual(["a"]);
      await ranges(family === "IPv4" ? `${at.outside}/32` : `${at.outside}/128`);
      expect(await names(1, "outside", at.balancerIp)).toEqual(["a"]);
    });

    test("session affinity: a client stays with one endpoint while that one serves", async () => {
      const affinity = { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } } };
      await apply(["a", "b", "remote"], affinity);
      for (const protocol of protocols) {
        const stayed = await names(12, "b", at.clusterIp, 80, protocol);
        expect(stayed).toHaveLength(1);
        const [gone] = stayed as [Place];
        await apply(
          (["a", "b", "remote"] as const).filter((name) => name !== gone),
          affinity,
        );
        const [next] = await names(6, "b", at.clusterIp, 80, protocol);
        expect(next).not.toBe(gone);
        await apply(["a", "b", "remote"], affinity);
      }
    });

    test("policy Local inside the cluster: only this board's endpoints", async () => {
      await apply(["a", "remote"], { internalTrafficPolicy: "Local" });
      for (const protocol of protocols) expect(await names(8, "b", at.clusterIp, 80, protocol)).toEqual(["a"]);
      await apply(["remote"], { internalTrafficPolicy: "Local" });
      for (const protocol of protocols) expect(await tryToAsk("b", at.clusterIp, 80, protocol)).toHaveProperty("error");
    });

    test("policy Local for traffic from outside: this board's endpoints there, all for pods", async () => {
      const local = { type: "NodePort", externalTrafficPolicy: "Local" };
      await apply(["a", "remote"], local);
      for (const protocol of protocols) {
        expect(await names(8, "outside", at.board, 30080, protocol)).toEqual(["a"]);
        if (traits.keepsClientAddress) {
          expect(await answers(1, "outside", at.board, 30080, protocol)).toEqual([`a ${at.outside}`]);
        }
      }
      await expectAll(["a", "remote"], "b", at.board, 30080);
      await apply(["remote"], local);
      expect(await tryToAsk("outside", at.board, 30080)).toHaveProperty("error");
    });

    test("without endpoints TCP is refused at once at every entrance; so is an address that no Service has", async () => {
      await apply([], { type: "NodePort", externalIPs: [at.externalIp] });
      for (const who of ["b", "host"] as const) {
        expect(await ask(who, at.clusterIp)).toMatchObject({ error: "ECONNREFUSED" });
      }
      expect(await ask("outside", at.board, 30080)).toMatchObject({ error: "ECONNREFUSED" });
      expect(await ask("outside", at.externalIp)).toMatchObject({ error: "ECONNREFUSED" });
      expect(await ask("b", at.noService)).toMatchObject({ error: "ECONNREFUSED" });
      expect(await tryToAsk("b", at.clusterIp, 80, "UDP")).toHaveProperty("error");
    });

    test("a UDP client that goes on sending from its port gets a new endpoint when its own is gone, or the first", async () => {
      await apply([]);
      expect(await tryToAsk("b", at.clusterIp, 80, "UDP", 4711)).toHaveProperty("error");
      await apply(["a"]);
      expect(await names(1, "b", at.clusterIp, 80, "UDP", 4711)).toEqual(["a"]);
      await apply(["remote"]);
      expect(await names(1, "b", at.clusterIp, 80, "UDP", 4711)).toEqual(["remote"]);
    });

    test("the board's own DNS address is left to it; who asks while it starts anew is not refused", async () => {
      await apply(["a"]);
      fleet.boardNamespace.run("ip", "address", "replace", at.dns, "dev", "lo");
      // The kernel leads an IPv6 address somewhere only a moment after it has taken it.
      const show = ["ip", family === "IPv6" ? "-6" : "-4", "route", "show", "table", "local", at.dns] as const;
      while (fleet.boardNamespace.run(...show) === "") await Bun.sleep(10);
      const error = traits.dnsIsPatient ? "timeout" : "ECONNREFUSED";
      expect(await tryToAsk("b", at.dns, 53, "UDP")).toMatchObject({ error });
      expect(await ask("b", at.dns, 53)).toMatchObject({ error: "ECONNREFUSED" });
    });

    test("halves of a connection close apart", async () => {
      await apply(["a"]);
      expect((await fleet.peers.b.ask({ do: "open", ip: at.clusterIp, port: 80 })).text).toStartWith("a ");
      expect(await fleet.peers.b.ask({ do: "end" })).toMatchObject({ text: "bye" });
    });

    test("a connection lives through many syncs, and while its endpoint is taken out of the Service", async () => {
      const syncs = Number(process.env["BRAMBLE_PROXY_SYNCS"] ?? 40);
      await apply(["a"]);
      await fleet.peers.b.ask({ do: "open", ip: at.clusterIp, port: 80 });
      for (let index = 0; index < syncs; index++) {
        await apply(index % 2 === 0 ? ["a", "remote"] : ["a"]);
        if (index % 10 === 0) {
          expect(await fleet.peers.b.ask({ do: "say", text: `${index}` })).toMatchObject({ text: `${index}` });
        }
      }
      await apply(["remote"]);
      expect(await fleet.peers.b.ask({ do: "say", text: "still" })).toMatchObject({ text: "still" });
    });

    test("nothing that did not change is written anew, and what others took away comes back", async () => {
      await apply(["a"]);
      const program = family === "IPv6" ? "ip6tables" : "iptables";
      const saved = (): string => fleet.boardNamespace.run("sh", "-c", `${program}-save -c | grep -v '^#'`);
      const rules = (text: string): string => text.replaceAll(/\[\d+:\d+\]/g, "");
      const packets = (text: string): number[] =>
        [...text.matchAll(/\[(\d+):\d+\]/g)].map(([, count]) => Number(count));
      // Counters of rules start anew when they are written. A connection that ends may count on.
      await ask("b", at.clusterIp);
      const before = saved();
      await apply(["a"]);
      const after = saved();
      expect(rules(after)).toBe(rules(before));
      const counted = packets(after);
      expect(packets(before).filter((count, index) => count > (counted[index] ?? 0))).toEqual([]);
      fleet.boardNamespace.run(program, "-t", "nat", "-F", "PREROUTING");
      fleet.boardNamespace.run(program, "-t", "nat", "-F", "OUTPUT");
      await apply(["a"]);
      expect(await names(1, "b", at.clusterIp)).toEqual(["a"]);
    });

    test("the health check port tells whether an endpoint is here", async () => {
      const checked = { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 32000 };
      const host = family === "IPv6" ? `[${at.board}]` : at.board;
      const answer = (): string =>
        fleet.peers.outside.namespace.run("curl", "-s", "-w", " %{http_code}", `http://${host}:32000/`);
      // A pod of a Service of both families is one endpoint to who asks by either.
      const otherFamily = family === "IPv6" ? "IPv4" : "IPv6";
      const other = {
        ...slice([], "TCP"),
        addressType: otherFamily,
        endpoints: [{ addresses: [places[otherFamily].pods.a], nodeName: "one", conditions: { ready: true } }],
      };
      await apply(["a", "remote"], checked, {}, [other]);
      // A port that has just been opened listens a moment later.
      await until("an endpoint at the port", () => /"localEndpoints":1,.* 200$/.test(answer()));
      await apply(["remote"], checked, {}, [other]);
      await until("none at the port", () => /"localEndpoints":0,.* 503$/.test(answer()));
    });

    test("a new start takes over what the one before left, also of the other mode; others' rules stay", async () => {
      const program = family === "IPv6" ? "ip6tables" : "iptables";
      const others = ["-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "9999", "-j", "ACCEPT"];
      fleet.boardNamespace.run(program, ...others);
      await apply(["a"]);
      await fleet.peers.b.ask({ do: "open", ip: at.clusterIp, port: 80 });
      await fleet.restartProxy(mode);
      await apply(["a"]);
      const answer = await fleet.peers.b.ask({ do: "say", text: "after" });
      if (traits.outlivesAgent) expect(answer).toMatchObject({ text: "after" });
      else expect(answer).toHaveProperty("error");
      const nat = (): string => fleet.boardNamespace.run(`${program}-save`, "-t", "nat");
      await fleet.restartProxy(mode === "iptables" ? "userspace" : "iptables");
      await apply(["remote"]);
      expect(await names(2, "b", at.clusterIp)).toEqual(["remote"]);
      expect(nat().includes(":KUBE-PORTALS")).toBe(mode === "iptables");
      await fleet.restartProxy(mode);
      await apply(["a"]);
      expect(await names(2, "b", at.clusterIp)).toEqual(["a"]);
      expect(nat().includes(":KUBE-PORTALS")).toBe(mode === "userspace");
      expect(nat()).toContain("--dport 9999 -j ACCEPT");
    });
  });
}
