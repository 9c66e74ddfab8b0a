import { describe, expect, test } from "bun:test";
import type { FlowSchema, PriorityLevelConfiguration } from "#shared/api/types/flowcontrol-v1.generated.ts";
import { requestInfoOf } from "../apiserver/http/request-info.ts";
import type { RequestInfo, User } from "../apiserver/request.ts";
import { bootstrapConfiguration } from "./bootstrap-configuration.ts";
import { classify, inPrecedence } from "./classify.ts";
import { type Passage, RequestGate, serverSeats, widthOf } from "./request-gate.ts";
import { limitsOf } from "./seats.ts";
import { handOf } from "./shuffle-sharding.ts";

const asking = (name: string, ...groups: string[]): User => ({ name, groups: [...groups, "system:authenticated"] });
const requestOf = (method: string, path: string): RequestInfo => requestInfoOf(method, path, new URLSearchParams());
const never = new AbortController().signal;

const level = (name: string, shares: number, more: object = {}): PriorityLevelConfiguration => ({
  apiVersion: "flowcontrol.apiserver.k8s.io/v1",
  kind: "PriorityLevelConfiguration",
  metadata: { name, uid: `uid-${name}` },
  spec: {
    type: "Limited",
    limited: {
      nominalConcurrencyShares: shares,
      limitResponse: { type: "Queue", queuing: { queues: 8, handSize: 2, queueLengthLimit: 3 } },
      borrowingLimitPercent: 0,
      ...more,
    },
  },
});

const schemaFor = (name: string, user: string): FlowSchema => ({
  apiVersion: "flowcontrol.apiserver.k8s.io/v1",
  kind: "FlowSchema",
  metadata: { name, uid: `uid-${name}` },
  spec: {
    priorityLevelConfiguration: { name },
    matchingPrecedence: 10,
    distinguisherMethod: { type: "ByNamespace" },
    rules: [
      {
        subjects: [{ kind: "User", user: { name: user } }],
        resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"], clusterScope: true }],
      },
    ],
  },
});

const pods = (namespace = "a"): RequestInfo => requestOf("GET", `/api/v1/namespaces/${namespace}/pods/x`);

/** A passage that must not have had to wait. */
function at(entered: Passage | Promise<Passage>): Passage {
  if (entered instanceof Promise) throw new Error("it waits");
  return entered;
}

/** The message of a refusal, whether it comes at once or later. */
async function refusal(enter: () => Passage | Promise<Passage>): Promise<unknown> {
  try {
    await enter();
  } catch (error) {
    return (error as { code?: number }).code;
  }
  return undefined;
}

describe("which schema a request is of", () => {
  const schemas = inPrecedence(bootstrapConfiguration.flowSchemas);
  const nameOf = (user: User, info: RequestInfo): string | undefined =>
    classify(user, info, schemas)?.schema.metadata.name;

  test("goes by precedence, subject and what is asked for", () => {
    expect(nameOf(asking("admin", "system:masters"), pods())).toBe("exempt");
    expect(nameOf(asking("x"), requestOf("GET", "/readyz"))).toBe("probes");
    expect(nameOf(asking("x"), requestOf("GET", "/version"))).toBe("global-default");
    const node = asking("system:node:pi", "system:nodes");
    expect(nameOf(node, requestOf("PATCH", "/api/v1/nodes/pi/status"))).toBe("system-node-high");
    expect(nameOf(node, pods())).toBe("system-nodes");
    const lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/s";
    expect(nameOf(asking("system:kube-scheduler"), requestOf("PUT", lease))).toBe("system-leader-election");
    const account = (name: string): User => asking(`system:serviceaccount:${name}`, "system:serviceaccounts");
    expect(nameOf(account("kube-system:job-controller"), pods())).toBe("kube-system-service-accounts");
    expect(nameOf(account("web:default"), pods())).toBe("service-accounts");
    expect(nameOf({ name: "system:anonymous", groups: ["system:unauthenticated"] }, pods())).toBe("global-default");
  });

  test("a Namespace's own requests are cluster-scoped", () => {
    const schema = schemaFor("one", "x");
    const rule = schema.spec.rules?.[0]?.resourceRules?.[0];
    if (rule) Object.assign(rule, { clusterScope: false });
    expect(classify(asking("x"), requestOf("GET", "/api/v1/namespaces/a"), [schema])).toBeUndefined();
    expect(classify(asking("x"), pods("a"), [schema])?.distinguisher).toBe("a");
  });
});

describe("seats and queues", () => {
  test("shares are rounded up and lent by percent", () => {
    const limits = limitsOf([level("a", 1), level("b", 3, { lendablePercent: 50, borrowingLimitPercent: 25 })], 10);
    expect(limits.get("a")).toEqual({ nominal: 3, lendable: 0, borrowable: 0 });
    expect(limits.get("b")).toEqual({ nominal: 8, lendable: 4, borrowable: 2 });
  });

  test("a flow's hand is its own, of different queues", () => {
    const hand = handOf("flow", 64, 6);
    expect(new Set(hand).size).toBe(6);
    expect(handOf("flow", 64, 6)).toEqual(hand);
    expect(hand.every((index) => index >= 0 && index < 64)).toBe(true);
    expect(handOf("flow", 3, 6)).toHaveLength(3);
    const hands = new Set(Array.from({ length: 200 }, (_, flow) => handOf(`${flow}`, 64, 6).toSorted().join(" ")));
    expect(hands.size).toBeGreaterThan(190);
  });

  test("wide lists take more seats, up to a bound", () => {
    expect([0, 1, 100, 101, 5_000].map(widthOf)).toEqual([1, 1, 1, 2, 10]);
  });

  const gateOf = (...levels: PriorityLevelConfiguration[]): RequestGate => {
    const gate = new RequestGate();
    gate.configure(
      levels,
      levels.map(({ metadata }) => schemaFor(metadata.name ?? "", metadata.name ?? "")),
    );
    return gate;
  };
  const seatsOf = (gate: RequestGate, name: string): number =>
    [...gate.levels].find((each) => each.name === name)?.limits.nominal ?? 0;

  test("a level that is full waits in fair turns, and nobody else does", async () => {
    const gate = gateOf(level("low", 1), level("high", 99));
    const seats = seatsOf(gate, "low");
    const inside = Array.from({ length: seats }, () => at(gate.enter(asking("low"), pods("greedy"), 1, never)));
    expect(inside[0]?.priorityLevelUid).toBe("uid-low");
    const order: string[] = [];
    const waitIn = (namespace: string): Promise<void> =>
      Promise.resolve(gate.enter(asking("low"), pods(namespace), 1, never)).then((passage) => {
        order.push(namespace);
        passage.leave();
      });
    // Six of one flow fill both queues of its hand; another flow comes last.
    const waiting = Array.from({ length: 6 }, () => waitIn("greedy"));
    expect(await refusal(() => gate.enter(asking("low"), pods("greedy"), 1, never))).toBe(429);
    at(gate.enter(asking("high"), pods(), 1, never)).leave();
    at(gate.enter(asking("admin", "system:masters"), pods(), 1, never)).leave();
    for (const passage of inside) passage.leave();
    await Promise.all(waiting);
    expect(order).toHaveLength(6);
    const [, rejected, waits] = gate.counts.families();
    expect(rejected?.samples).toEqual([
      { labels: { priority_level: "low", flow_schema: "low", reason: "queue-full" }, value: 1 },
    ]);
    const labels = { priority_level: "low", flow_schema: "low", execute: "false" };
    expect(waits?.samples).toContainEqual({ suffix: "_count", labels, value: 1 });
    for (const each of gate.levels) expect([each.seats, each.executing, each.waiting]).toEqual([0, 0, 0]);
  });

  test("a flow that asked once goes before the many of another", async () => {
    const gate = gateOf(level("low", 1), level("high", 99));
    const inside = Array.from({ length: seatsOf(gate, "low") }, () =>
      at(gate.enter(asking("low"), pods("greedy"), 1, never)),
    );
    const order: string[] = [];
    const handOfFlow = (namespace: string): number[] => handOf(`low/${namespace}`, 8, 2);
    const modest = Array.from({ length: 50 }, (_, index) => `n${index}`).find(
      (name) => !handOfFlow(name).some((queue) => handOfFlow("greedy").includes(queue)),
    );
    const waiting = ["greedy", "greedy", "greedy", "greedy", "greedy", "greedy", modest ?? ""].map(
      async (namespace) => {
        const passage = await gate.enter(asking("low"), pods(namespace), 1, never);
        order.push(namespace);
        await new Promise<void>((resolve) => setImmediate(resolve));
        passage.leave();
      },
    );
    for (const passage of inside) passage.leave();
    await Promise.all(waiting);
    expect(order.indexOf(modest ?? "")).toBeLessThan(3);
  });

  test("seats that others lend and do not use are borrowed, and given back as they fall free", async () => {
    const lender = level("lender", 50, { lendablePercent: 50 });
    const borrower = level("borrower", 50, { borrowingLimitPercent: undefined });
    const gate = gateOf(lender, borrower);
    const nominal = seatsOf(gate, "borrower");
    const taken: Passage[] = [];
    for (;;) {
      const entered = gate.enter(asking("borrower"), pods(), 1, AbortSignal.timeout(60_000));
      if (entered instanceof Promise) {
        void entered.then((passage) => passage.leave());
        break;
      }
      taken.push(entered);
    }
    const lendable = [...gate.levels].find(({ name }) => name === "lender")?.limits.lendable ?? 0;
    expect(taken.length).toBe(nominal + lendable);
    // What is never lent is there at once; of what is lent, as much as has come back.
    const own: Passage[] = [];
    for (let count = 0; count < seatsOf(gate, "lender") - lendable; count++) {
      own.push(at(gate.enter(asking("lender"), pods(), 1, never)));
    }
    expect(gate.enter(asking("lender"), pods(), 1, never)).toBeInstanceOf(Promise);
    for (const passage of [...taken, ...own]) passage.leave();
  });

  test("who gives up leaves the queue, and a level may refuse instead of queueing", async () => {
    const gate = gateOf(level("low", 1), level("high", 99), level("strict", 1, { limitResponse: { type: "Reject" } }));
    const full = (name: string): void => {
      for (let count = 0; count < seatsOf(gate, name); count++) at(gate.enter(asking(name), pods(), 1, never));
    };
    full("low");
    full("strict");
    expect(await refusal(() => gate.enter(asking("strict"), pods(), 1, never))).toBe(429);
    const gone = new AbortController();
    const waiting = gate.enter(asking("low"), pods(), 1, gone.signal);
    gone.abort();
    expect(await refusal(() => waiting)).toBe(429);
    expect([...gate.levels].find(({ name }) => name === "low")?.waiting).toBe(0);
    // One that had gone before it came to the queue is not put there.
    expect(() => gate.enter(asking("low"), pods(), 1, gone.signal)).toThrow("Too many requests");
    expect([...gate.levels].find(({ name }) => name === "low")?.waiting).toBe(0);
  });

  test("a level whose configuration has gone serves what it has, and then lends no seats any more", () => {
    const gate = gateOf(level("old", 50, { lendablePercent: 100 }), level("new", 50));
    const names = (): string[] => [...gate.levels].map(({ name }) => name);
    const passage = at(gate.enter(asking("old"), pods(), 1, never));
    gate.configure([level("new", 50)], [schemaFor("new", "new")]);
    expect(names()).toContain("old");
    passage.leave();
    expect(names()).not.toContain("old");
  });

  test("who waits is served by a changed configuration too, and a list wider than its level still runs", async () => {
    const gate = gateOf(level("low", 1), level("high", 99));
    const first = at(gate.enter(asking("low"), pods(), 10, never));
    const waiting = gate.enter(asking("low"), pods(), 1, never);
    expect(waiting).toBeInstanceOf(Promise);
    const wider = level("low", 99, { limitResponse: { type: "Queue", queuing: { queues: 4, handSize: 1 } } });
    gate.configure([wider, level("high", 1)], [schemaFor("low", "low")]);
    first.leave();
    (await waiting).leave();
    expect(seatsOf(gate, "low")).toBeGreaterThan(serverSeats / 2);
  });
});
