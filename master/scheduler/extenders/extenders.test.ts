/** A scheduler on a real API server, with extenders over real HTTP. */
import { afterEach, expect, test } from "bun:test";
import { events, nodes, pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { eventually } from "../../controllers/testing/eventually.ts";
import { Harness } from "../../controllers/testing/harness.ts";
import { parseSchedulerConfiguration } from "../configuration/configuration.ts";
import { Scheduler } from "../scheduler.ts";
import { testNode, testPod } from "../testing.ts";

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

interface Asked {
  readonly Pod: Pod;
  readonly Nodes: { readonly items: readonly { readonly metadata: { readonly name: string } }[] } | null;
  readonly NodeNames: readonly string[] | null;
  readonly [field: string]: unknown;
}
type Answers = Readonly<Record<string, (asked: Asked) => unknown>>;

/** Answers each verb with what its function gives; throws of it are answered 500. Gives its URL. */
function extender(
  answers: Answers,
  tls?: { readonly key: string; readonly cert: string; readonly ca: string },
): string {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    ...(tls ? { tls: { ...tls, requestCert: true, rejectUnauthorized: true } } : {}),
    async fetch(request) {
      const verb = new URL(request.url).pathname.replace("/extender/", "");
      try {
        return Response.json(await answers[verb]?.((await request.json()) as Asked));
      } catch (error) {
        return new Response((error as Error).message, { status: 500 });
      }
    },
  });
  stops.push(() => server.stop(true));
  return `${tls ? "https" : "http"}://127.0.0.1:${server.port}/extender`;
}

/** @param prepare makes what is there before the scheduler looks. */
async function start(
  extenders: readonly object[],
  names: readonly string[] = ["a", "b", "c"],
  prepare: (client: Client) => Promise<void> = async () => undefined,
): Promise<Client> {
  const harness = await Harness.onApiServer();
  const { client, informers } = harness;
  const kind = { apiVersion: "kubescheduler.config.k8s.io/v1", kind: "KubeSchedulerConfiguration" };
  const configuration = parseSchedulerConfiguration(JSON.stringify({ ...kind, extenders }), "f");
  for (const name of names) await client.create(nodes, testNode(name));
  await prepare(client);
  const scheduler = new Scheduler({ client, informers, configuration, random: () => 0 });
  stops.push(
    () => harness.stop(),
    () => scheduler.stop(),
  );
  await scheduler.start();
  return client;
}

const get = (client: Client, name: string): Promise<Pod> => client.get(pods, { namespace: "default", name });
const nodeOf = async (client: Client, name: string): Promise<string | undefined> =>
  (await get(client, name)).spec?.nodeName;
const condition = async (client: Client, name: string): Promise<string> => {
  const { reason, message } =
    (await get(client, name)).status?.conditions?.find(({ type }) => type === "PodScheduled") ?? {};
  return `${reason}: ${message}`;
};
const namesIn = ({ Nodes, NodeNames }: Asked): string[] =>
  NodeNames ? [...NodeNames] : (Nodes?.items ?? []).map(({ metadata }) => metadata.name);
const only =
  (...names: readonly string[]) =>
  (asked: Asked): object => ({
    Nodes: { items: (asked.Nodes?.items ?? []).filter(({ metadata }) => names.includes(metadata.name)) },
  });

test("each filters what the former left, and scores count for what they weigh", async () => {
  const asked: Record<string, Asked[]> = { first: [], second: [], score: [] };
  const first = extender({
    filter: (args) => {
      asked["first"]?.push(args);
      return only("b", "c")(args);
    },
  });
  const second = extender({
    // Lower case is read too, as Go does.
    filter: (args) => {
      asked["second"]?.push(args);
      return { nodenames: namesIn(args) };
    },
    score: (args) => {
      asked["score"]?.push(args);
      return namesIn(args).map((Host) => ({ Host, Score: Host === "c" ? 10 : 0 }));
    },
  });
  const client = await start([
    { urlPrefix: first, filterVerb: "filter" },
    { urlPrefix: second, filterVerb: "filter", prioritizeVerb: "score", weight: 10, nodeCacheCapable: true },
  ]);
  // The plugins like b best: c holds more already.
  await client.create(pods, testPod("busy", { nodeName: "c" }, { requests: { cpu: "3" } }));
  await client.create(pods, testPod("p", {}, { requests: { cpu: "100m" } }));
  await eventually(async () => (await nodeOf(client, "p")) === "c", "p on c");
  const [one] = asked["first"] ?? [];
  expect(one && namesIn(one).sort()).toEqual(["a", "b", "c"]);
  expect(one?.NodeNames).toBeNull();
  expect(one?.Pod.metadata.name).toBe("p");
  expect(one?.Nodes?.items[0]).toHaveProperty("status.allocatable.cpu");
  const [two] = asked["second"] ?? [];
  expect(two?.Nodes).toBeNull();
  expect(two?.NodeNames?.toSorted()).toEqual(["b", "c"]);
  expect(asked["score"]?.[0]?.NodeNames?.toSorted()).toEqual(["b", "c"]);
});

test("what it says against nodes is told, and any change may help", async () => {
  let isWilling = false;
  const url = extender({
    filter: (args) =>
      isWilling
        ? { NodeNames: namesIn(args) }
        : { NodeNames: [], FailedNodes: { a: "a is warm" }, FailedAndUnresolvableNodes: { b: "b is hot" } },
  });
  const client = await start([{ urlPrefix: url, filterVerb: "filter", nodeCacheCapable: true }], ["a", "b"]);
  await client.create(pods, testPod("p"));
  await eventually(
    async () =>
      (await condition(client, "p")).startsWith(
        "Unschedulable: 0/2 nodes are available: 1 a is warm, 1 b is hot. no new claims to deallocate, preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.",
      ),
    "both reasons",
  );
  isWilling = true;
  await client.patch(nodes, { name: "a" }, { type: "merge", body: { metadata: { annotations: { changed: "yes" } } } });
  await client.patch(nodes, { name: "a" }, { type: "merge", body: { metadata: { labels: { changed: "yes" } } } });
  await eventually(async () => (await nodeOf(client, "p")) !== undefined, "p on a node");
});

test("one that fails is an error, and one that can be done without is done without; pods that it does not concern go by", async () => {
  let why = "";
  const fail = (): never => {
    throw new Error("broken");
  };
  const url = extender({ filter: (args) => (why ? { Error: why } : only("b")(args)), score: fail });
  const client = await start([
    { urlPrefix: extender({ filter: fail }), filterVerb: "filter", ignorable: true },
    {
      urlPrefix: url,
      filterVerb: "filter",
      prioritizeVerb: "score",
      weight: 1,
      managedResources: [{ name: "example.com/x", ignoredByScheduler: true }],
    },
  ]);
  why = "not today";
  const concerned = testPod("concerned", {}, {});
  const [container] = concerned.spec?.containers ?? [];
  const resources = { limits: { "example.com/x": "1" }, requests: { "example.com/x": "1" } };
  await client.create(pods, {
    ...concerned,
    spec: { ...concerned.spec, containers: [{ name: "c", image: "i", ...container, resources }] },
  });
  await eventually(async () => (await condition(client, "concerned")) === "SchedulerError: not today", "the error");
  await client.create(pods, testPod("free"));
  await eventually(async () => (await nodeOf(client, "free")) !== undefined, "free on a node");
  const told = async (): Promise<string[]> =>
    (await client.list(events)).items.map(({ reason, message }) => `${reason}: ${message}`);
  await eventually(async () => (await told()).includes("FailedScheduling: not today"), "told");
  why = "";
  await eventually(async () => (await nodeOf(client, "concerned")) === "b", "concerned on b");
});

test("a node that it was not asked about, and another code than 200", async () => {
  const url = extender({
    other: () => ({ NodeNames: ["x"] }),
    broken: () => {
      throw new Error("no");
    },
  });
  const stranger = await start([{ urlPrefix: url, filterVerb: "other", nodeCacheCapable: true }], ["a"]);
  await stranger.create(pods, testPod("p"));
  const unknown = `SchedulerError: extender "${url}" claims a filtered node "x" which is not found in the input node list`;
  await eventually(async () => (await condition(stranger, "p")) === unknown, "the stranger");
  const broken = await start([{ urlPrefix: `${url}/`, filterVerb: "broken" }], ["a"]);
  await broken.create(pods, testPod("p"));
  const code = `SchedulerError: failed broken with extender at URL ${url}/broken, code 500`;
  await eventually(async () => (await condition(broken, "p")) === code, "the code");
});

test("it binds in the scheduler's place, over TLS with certificates of both sides", async () => {
  const authority = await createCertificateAuthority("extender-ca");
  const subject = { commonName: "extender", ipAddresses: ["127.0.0.1"] };
  const serving = await issueCertificate(authority, subject, [extendedKeyUsages.serverAuth]);
  const own = await issueCertificate(authority, { commonName: "scheduler" }, [extendedKeyUsages.clientAuth]);
  const bound: { client?: Client } = {};
  const asked: unknown[] = [];
  const url = extender(
    {
      bind: async (args) => {
        asked.push(args);
        const { PodName: name, PodNamespace: namespace, PodUID: uid, Node } = args as Record<string, unknown>;
        await bound.client?.post(pods, { namespace: String(namespace), name: String(name) }, "binding", {
          apiVersion: "v1",
          kind: "Binding",
          metadata: { namespace: String(namespace), name: String(name), uid: String(uid) },
          target: { kind: "Node", name: String(Node) },
        });
        return {};
      },
    },
    { key: serving.keyPem, cert: serving.certificatePem, ca: authority.certificatePem },
  );
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const tlsConfig = {
    caData: base64(authority.certificatePem),
    certData: base64(own.certificatePem),
    keyData: base64(own.keyPem),
  };
  const client = await start([{ urlPrefix: url, bindVerb: "bind", enableHTTPS: true, tlsConfig }], ["a"]);
  bound.client = client;
  await client.create(pods, testPod("p"));
  await eventually(async () => (await nodeOf(client, "p")) === "a", "p on a");
  expect(asked).toEqual([
    { PodName: "p", PodNamespace: "default", PodUID: (await get(client, "p")).metadata.uid, Node: "a" },
  ]);
});

test("it chooses among the candidates of a preemption, and the victims", async () => {
  const asked: Asked[] = [];
  const url = extender({
    preempt: (args) => {
      asked.push(args);
      const candidates = args["NodeNameToVictims"] as Record<string, { Pods: Pod[] }>;
      const Pods = candidates["b"]?.Pods.map(({ metadata }) => ({ UID: metadata.uid }));
      return { NodeNameToMetaVictims: { b: { Pods, NumPDBViolations: 0 } } };
    },
  });
  const client = await start([{ urlPrefix: url, preemptVerb: "preempt" }], [], async (api) => {
    for (const name of ["a", "b"]) {
      await api.create(nodes, testNode(name, { allocatable: { cpu: "1" } }));
      // By itself the scheduler would take the pod of lower priority, on a.
      const priority = name === "a" ? 1 : 2;
      await api.create(pods, testPod(`on-${name}`, { nodeName: name, priority }, { requests: { cpu: "1" } }));
    }
  });
  await client.create(pods, testPod("high", { priority: 10 }, { requests: { cpu: "1" } }));
  await eventually(async () => (await get(client, "high")).status?.nominatedNodeName === "b", "high nominated");
  await eventually(async () => (await get(client, "on-b")).metadata.deletionTimestamp !== undefined, "on-b deleted");
  expect((await get(client, "on-a")).metadata.deletionTimestamp).toBeUndefined();
  const victims = asked[0]?.["NodeNameToVictims"] as Record<string, { Pods: Pod[]; NumPDBViolations: number }>;
  expect(Object.keys(victims).sort()).toEqual(["a", "b"]);
  expect(victims["a"]).toMatchObject({ NumPDBViolations: 0, Pods: [{ spec: { containers: [{ name: "main" }] } }] });
  expect(asked[0]?.["NodeNameToMetaVictims"]).toBeNull();
});
