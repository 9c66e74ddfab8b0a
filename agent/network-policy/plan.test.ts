import { describe, expect, test } from "bun:test";
import { renderChanges, renderRule, renderSetChanges } from "node-iptables";
import type { NetworkPolicy } from "#shared/api/types/networking-v1.generated.ts";
import { type PolicyPlan, type PolicyState, planPolicies, policyChain } from "./plan.ts";
import { type PolicyPod, policyPartOf, policyPod } from "./policy-pod.ts";

const pod = (name: string, namespace: string, ip: string, more: Partial<PolicyPod> = {}): PolicyPod => ({
  uid: `uid-${name}`,
  namespace,
  name,
  labels: { app: name },
  ips: [ip],
  namedPorts: [],
  isLocal: false,
  ...more,
});
const pods = [
  pod("web", "shop", "10.42.1.5", { isLocal: true, namedPorts: [{ name: "http", protocol: "TCP", port: 8080 }] }),
  pod("web2", "shop", "10.42.1.6", { isLocal: true, labels: { app: "web" } }),
  pod("db", "shop", "10.42.2.5", { namedPorts: [{ name: "http", protocol: "TCP", port: 9090 }] }),
  pod("spy", "other", "10.42.2.6"),
];
const namespaces = new Map([
  ["shop", { team: "a" }],
  ["other", { team: "b" }],
]);
const policy = (spec: object, name = "p"): NetworkPolicy =>
  ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace: "shop", name },
    spec,
  }) as NetworkPolicy;
const planOf = (...policies: NetworkPolicy[]): PolicyPlan => planPolicies({ policies, pods, namespaces }, "IPv4");
/** Rules of the chains of one direction, without their comments. */
const rules = (plan: PolicyPlan, direction: "IN" | "OUT"): string[] =>
  [...plan.chains]
    .filter(([name]) => name.startsWith(`BRAMBLE-${direction}-`))
    .flatMap(([, chain]) =>
      chain.map((rule) =>
        renderRule("X", rule)
          .replace(/ -m comment --comment \S+/, "")
          .slice(5),
      ),
    );
const members = (plan: PolicyPlan): string[][] => [...plan.sets.values()].map(({ entries }) => [...entries]);

describe("isolation", () => {
  test("only the board's pods that a policy selects, in the directions that it names", () => {
    const plan = planOf(policy({ podSelector: { matchLabels: { app: "web" } }, policyTypes: ["Ingress"] }));
    expect(rules(plan, "IN")).toEqual(["-j DROP"]);
    expect(rules(plan, "OUT")).toEqual([]);
    const jumps = (plan.chains.get(policyChain) ?? []).map((rule) => rule.join(" "));
    expect(jumps[0]).toBe("-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN");
    expect(jumps.slice(1).map((jump) => jump.replace(/IN-.*/, "IN"))).toEqual([
      "-s 10.42.1.5 -d 10.42.1.5 -j RETURN",
      "-d 10.42.1.5 -j BRAMBLE-IN",
      "-s 10.42.1.6 -d 10.42.1.6 -j RETURN",
      "-d 10.42.1.6 -j BRAMBLE-IN",
    ]);
  });
  test("a policy of another namespace selects nothing here; without types, egress rules mean egress", () => {
    expect(planOf({ ...policy({ podSelector: {} }), metadata: { namespace: "other", name: "p" } }).chains.size).toBe(1);
    const plan = planOf(policy({ podSelector: {}, egress: [{}] }));
    expect([rules(plan, "IN"), rules(plan, "OUT")]).toEqual([["-j DROP"], ["-j RETURN", "-j DROP"]]);
  });
  test("no policy, no rules and no sets", () => {
    const plan = planOf();
    expect([plan.chains.get(policyChain), plan.sets.size]).toEqual([[], 0]);
  });
});

describe("what is allowed", () => {
  test("several policies of a pod add up", () => {
    const plan = planOf(
      policy({ podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { app: "db" } } }] }] }, "a"),
      policy({ podSelector: {}, ingress: [{ ports: [{ port: 80, protocol: "TCP" }] }] }, "b"),
    );
    expect(rules(plan, "IN").map((rule) => rule.replace(/NP4-\w+/, "SET"))).toEqual([
      "-m set --match-set BRAMBLE-SET src -j RETURN",
      "-p tcp -m tcp --dport 80 -j RETURN",
      "-j DROP",
    ]);
    expect(members(plan)).toEqual([["10.42.2.5"]]);
  });
  test("peers: a pod selector is of the policy's namespace, both selectors of one peer go together", () => {
    const from = [
      { podSelector: { matchLabels: { app: "spy" } } },
      { namespaceSelector: { matchLabels: { team: "b" } }, podSelector: { matchLabels: { app: "spy" } } },
    ];
    expect(members(planOf(policy({ podSelector: {}, ingress: [{ from: from.slice(0, 1) }] })))).toEqual([[]]);
    expect(members(planOf(policy({ podSelector: {}, ingress: [{ from: from.slice(1) }] })))).toEqual([["10.42.2.6"]]);
    expect(members(planOf(policy({ podSelector: {}, ingress: [{ from: [{ namespaceSelector: {} }] }] })))).toEqual([
      ["10.42.1.5", "10.42.1.6", "10.42.2.5", "10.42.2.6"],
    ]);
  });
  test("blocks: excepted networks are no match, those of another family are left out, and out only", () => {
    const to = [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8"] } }, { ipBlock: { cidr: "192.0.2.0/24" } }];
    const plan = planOf(policy({ podSelector: {}, policyTypes: ["Egress"], egress: [{ to }] }));
    expect(members(plan)).toEqual([["0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8 nomatch"]]);
    expect(rules(plan, "OUT").map((rule) => rule.replace(/NP4-\w+/, "SET"))).toEqual([
      "-m set --match-set BRAMBLE-SET dst -j RETURN",
      "-d 192.0.2.0/24 -j RETURN",
      "-j DROP",
    ]);
    const v6 = policy({
      podSelector: {},
      policyTypes: ["Egress"],
      egress: [{ to: [{ ipBlock: { cidr: "fd00::/8" } }] }],
    });
    expect(rules(planOf(v6), "OUT")).toEqual(["-j DROP"]);
  });
  test("blocks are what the API takes them for, not what ipset or iptables would", () => {
    const to = [
      { ipBlock: { cidr: "010.0.0.0/8", except: ["::ffff:10.1.0.0/112"] } },
      { ipBlock: { cidr: "::ffff:192.0.2.0/120" } },
    ];
    const plan = planOf(policy({ podSelector: {}, policyTypes: ["Egress"], egress: [{ to }] }));
    expect(members(plan)).toEqual([["10.0.0.0/8", "10.1.0.0/16 nomatch"]]);
    expect(rules(plan, "OUT")).toContain("-d 192.0.2.0/24 -j RETURN");
  });
  test("ports: numbers, ranges, a protocol alone, and names as each pod means them", () => {
    const ports = [{ port: 80, endPort: 90, protocol: "UDP" }, { protocol: "SCTP" }, { port: "http", protocol: "TCP" }];
    const plan = planOf(policy({ podSelector: {}, ingress: [{ ports }] }));
    expect(rules(plan, "IN").map((rule) => rule.replace(/NP4-\w+/, "SET"))).toEqual([
      "-p udp -m udp --dport 80:90 -j RETURN",
      "-p sctp -j RETURN",
      "-m set --match-set BRAMBLE-SET dst,dst -j RETURN",
      "-j DROP",
    ]);
    expect(members(plan)).toEqual([["10.42.1.5,tcp:8080", "10.42.2.5,tcp:9090"]]);
  });
});

test("nothing is written when nothing changed, and one pod's coming is one entry", () => {
  const policies = [
    policy({ podSelector: { matchLabels: { app: "web" } }, ingress: [{ from: [{ podSelector: {} }] }] }),
  ];
  const before: PolicyState = { policies, pods, namespaces };
  const [one, again] = [planPolicies(before, "IPv4"), planPolicies(structuredClone(before), "IPv4")];
  expect(renderChanges({ mangle: one.chains }, { mangle: again.chains })).toBe("");
  expect(renderSetChanges(one.sets, again.sets)).toEqual({ before: "", after: "" });
  const more = planPolicies({ ...before, pods: [...pods, pod("new", "shop", "10.42.3.9")] }, "IPv4");
  expect(renderChanges({ mangle: one.chains }, { mangle: more.chains })).toBe("");
  expect(renderSetChanges(one.sets, more.sets)).toEqual({
    before: expect.stringMatching(/^add BRAMBLE-NP4-\w+ 10.42.3.9\n$/),
    after: "",
  });
});

test("of a pod, what ended or is on the host's network counts for nothing, and a cache needs little", () => {
  const full = {
    apiVersion: "v1" as const,
    kind: "Pod" as const,
    metadata: { name: "web", namespace: "shop", uid: "u", annotations: { long: "text" } },
    spec: {
      nodeName: "pi-1",
      containers: [{ name: "c", image: "i", ports: [{ name: "http", containerPort: 80 }, { containerPort: 81 }] }],
    },
    status: { phase: "Running", podIP: "10.42.1.5", podIPs: [{ ip: "10.42.1.5" }, { ip: "fd42::5" }] },
  };
  const seen = policyPod(full, "pi-1");
  expect(seen).toMatchObject({ ips: ["10.42.1.5", "fd42::5"], isLocal: true });
  expect(seen?.namedPorts).toEqual([{ name: "http", protocol: "TCP", port: 80 }]);
  expect(policyPod(policyPartOf(full), "pi-1")).toEqual(seen);
  expect(JSON.stringify(policyPartOf(full))).not.toContain("long");
  expect(policyPod({ ...full, status: { phase: "Succeeded" } }, "pi-1")).toBeUndefined();
  expect(policyPod({ ...full, spec: { ...full.spec, hostNetwork: true } }, "pi-1")).toBeUndefined();
});

describe("many peers with many ports", () => {
  test("take rules by their sum, not by their product", () => {
    const count = 20_000;
    const address = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32`;
    const from = Array.from({ length: count }, (_, index) => ({ ipBlock: { cidr: address(index) } }));
    const ports = Array.from({ length: count }, (_, index) => ({ port: 2 * index + 1 }));
    const more = [{ port: 80, endPort: 90, protocol: "UDP" }, { protocol: "SCTP" }, { port: "http", protocol: "TCP" }];
    const spies = { namespaceSelector: { matchLabels: { team: "b" } } };
    const excepting = { ipBlock: { cidr: "172.16.0.0/12", except: ["172.16.1.0/24"] } };
    const ingress = [{ from: [...from, spies, excepting], ports: [...ports, ...more] }];
    const plan = planOf(policy({ podSelector: { matchLabels: { app: "web" } }, policyTypes: ["Ingress"], ingress }));
    const found = rules(plan, "IN").map((rule) => rule.replace(/BRAMBLE-NP4-\w+/g, "SET"));
    const doors = ["-p tcp -m set --match-set SET dst", "-p udp -m set --match-set SET dst"];
    const expected = ["src", "src", "src"].flatMap((side) =>
      [...doors, "-m set --match-set SET dst,dst", "-p sctp"].map(
        (door) => `-m set --match-set SET ${side} ${door} -j RETURN`,
      ),
    );
    expect(found).toEqual([...expected, "-j DROP"]);
    const sizes = [...plan.sets.values()].map(({ type, entries }) => `${type} ${entries.size}`).toSorted();
    expect(sizes).toEqual([
      "bitmap:port 1",
      "bitmap:port 20000",
      "hash:ip 1",
      "hash:ip,port 2",
      "hash:net 2",
      "hash:net 20000",
    ]);
    expect(renderSetChanges(new Map(), plan.sets).before).toMatch(
      /create BRAMBLE-NP4-\w+ bitmap:port range 0-65535\n.*\nadd BRAMBLE-NP4-\w+ 80-90\n/,
    );
  });
});
