import { describe, expect, test } from "bun:test";
import { NodeInfo } from "../node-info.ts";
import { allocationScore } from "../plugins/node-resources.ts";
import { PodInfo } from "../pod-info.ts";
import { testNode, testPod } from "../testing.ts";
import { parseSchedulerConfiguration, type SchedulerConfiguration } from "./configuration.ts";
import { defaultArgs, defaultProfile, pluginsAt, schedulerPlugins } from "./profile.ts";

const parse = (text: string): SchedulerConfiguration =>
  parseSchedulerConfiguration(
    `apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n${text}`,
    "f",
  );
const profile = (text: string) => {
  const [first] = parse(`profiles:\n- ${text.trim().replaceAll("\n", "\n  ")}`).profiles;
  if (!first) throw new Error("no profile");
  return first;
};
const weights = ({ plugins }: Pick<ReturnType<typeof profile>, "plugins">) =>
  Object.fromEntries(plugins.map(({ name, weight }) => [name, weight]));

describe("what a file says", () => {
  test("nothing: upstream's defaults", () => {
    const read = parse("");
    expect(read).toMatchObject({ podInitialBackoffSeconds: 1, podMaxBackoffSeconds: 10, kubeconfig: "" });
    expect(read.profiles.map(({ schedulerName }) => schedulerName)).toEqual(["default-scheduler"]);
    expect(weights(defaultProfile())).toMatchObject({
      TaintToleration: 3,
      NodeAffinity: 2,
      PodTopologySpread: 2,
      InterPodAffinity: 2,
      NodeResourcesFit: 1,
      ImageLocality: 1,
    });
  });

  test("several profiles, back-off, nodes to score, and where the API is", () => {
    const read = parse(`
percentageOfNodesToScore: 30
podInitialBackoffSeconds: 2
podMaxBackoffSeconds: 60
leaderElection: { leaderElect: false, resourceName: mine }
clientConnection: { kubeconfig: /etc/k }
profiles:
- schedulerName: a
- schedulerName: b
  percentageOfNodesToScore: 70
`);
    expect(read.profiles.map(({ schedulerName, percentageOfNodesToScore: share }) => [schedulerName, share])).toEqual([
      ["a", 30],
      ["b", 70],
    ]);
    expect(read).toMatchObject({ podInitialBackoffSeconds: 2, podMaxBackoffSeconds: 60, kubeconfig: "/etc/k" });
    expect(read.leaderElection).toEqual({ leaderElect: false, resourceName: "mine", resourceNamespace: undefined });
  });

  test("plugins at one point and at all", () => {
    const scoring = profile(`
plugins:
  score:
    disabled: [{ name: "*" }]
    enabled: [{ name: ImageLocality, weight: 5 }]
`);
    expect(weights(scoring)).toMatchObject({ ImageLocality: 5, TaintToleration: 0, NodeResourcesFit: 0 });
    const without = profile(`
plugins:
  multiPoint:
    disabled: [{ name: PodTopologySpread }, { name: DefaultPreemption }]
    enabled: [{ name: NodeAffinity, weight: 9 }]
`);
    expect(weights(without)).toMatchObject({ NodeAffinity: 9 });
    expect(weights(without)).not.toHaveProperty("PodTopologySpread");
    expect(without.preemption).toBeUndefined();
  });

  test("a point's own plugins come first", () => {
    const multiPoint = { enabled: [], disabled: [] };
    const filter = { enabled: [{ name: "InterPodAffinity", weight: undefined }], disabled: ["NodeName"] };
    const names = pluginsAt("filter", { multiPoint, filter }).map(({ name }) => name);
    expect(names[0]).toBe("InterPodAffinity");
    expect(names).not.toContain("NodeName");
    expect(names.filter((name) => name === "InterPodAffinity")).toHaveLength(1);
  });

  test("a plugin that may only score filters nothing", () => {
    const { plugins } = profile(`
plugins:
  filter: { disabled: [{ name: TaintToleration }] }
`);
    const taints = plugins.find(({ name }) => name === "TaintToleration");
    const cycle = taints?.begin(new PodInfo(testPod("p")), undefined as never);
    expect(cycle?.filter).toBeUndefined();
    expect(cycle?.scores).toBeDefined();
  });
});

describe("what is wrong with a file is said, all at once", () => {
  const complaints = (text: string): string[] => {
    try {
      parse(text);
    } catch (error) {
      return (error as Error).message
        .split("\n")
        .slice(1)
        .map((line) => line.trim());
    }
    return [];
  };

  test("names, ranges and doubles", () => {
    expect(
      complaints(`
podInitialBackoffSeconds: 0
percentageOfNodesToScore: 101
nodesToScore: 3
profiles:
- plugins: { score: { enabled: [{ name: Nonsense }] } }
- pluginConfig: [{ name: NodeResourcesFit, args: { scoringStrategy: { type: Best } } }]
`),
    ).toEqual([
      'unknown field "nodesToScore"',
      "podInitialBackoffSeconds: expected a whole number in [1, inf), got 0",
      "percentageOfNodesToScore: expected a whole number in [0, 100], got 101",
      'profiles[0].plugins.score.enabled[0]: plugin "Nonsense" does not exist',
      'profiles[1].pluginConfig[0].args.scoringStrategy.type: supported values: LeastAllocated, MostAllocated, RequestedToCapacityRatio; got "Best"',
      'profiles[1]: schedulerName: Duplicate value: "default-scheduler"',
    ]);
  });

  test("what the scheduler cannot do without", () => {
    expect(
      complaints(`
profiles: [{ plugins: { multiPoint: { disabled: [{ name: "*" }] } } }]
`),
    ).toEqual([
      "profiles[0].plugins: no queue sort plugin is enabled: PrioritySort",
      "profiles[0].plugins: at least one bind plugin is needed: DefaultBinder",
    ]);
  });

  test("extenders: those that can be done without come last, and what one counts the scheduler does not", () => {
    const { extenders, profiles } = parse(`
extenders:
- urlPrefix: http://a/
  filterVerb: filter
  ignorable: true
- urlPrefix: https://b/scheduler
  prioritizeVerb: score
  bindVerb: bind
  weight: 3
  enableHTTPS: true
  httpTimeout: 1m30s
  nodeCacheCapable: true
  managedResources: [{ name: example.com/gpu, ignoredByScheduler: true }, { name: example.com/x }]
- urlPrefix: https://c
  tlsConfig: { caData: ${Buffer.from("PEM").toString("base64")}, serverName: s }
profiles:
- schedulerName: a
  pluginConfig: [{ name: NodeResourcesFit, args: { ignoredResources: [example.com/other] } }]
- schedulerName: b
`);
    expect(extenders.map(({ urlPrefix }) => urlPrefix)).toEqual(["https://b/scheduler", "https://c", "http://a/"]);
    expect(extenders[0]).toEqual({
      urlPrefix: "https://b/scheduler",
      verbs: { filter: "", prioritize: "score", preempt: "", bind: "bind" },
      weight: 3,
      timeout_ms: 90_000,
      nodeCacheCapable: true,
      ignorable: false,
      managedResources: ["example.com/gpu", "example.com/x"],
      ignoredResources: ["example.com/gpu"],
      tls: { rejectUnauthorized: false },
    });
    expect(extenders[1]).toMatchObject({ timeout_ms: 5000, tls: { ca: "PEM", serverName: "s" } });
    const info = (resource: string) => new PodInfo(testPod("p", {}, { requests: { [resource]: "1" } }));
    for (const { plugins } of profiles) {
      const filter = (resource: string) =>
        plugins
          .find(({ name }) => name === "NodeResourcesFit")
          ?.begin(info(resource), undefined as never)
          ?.filter?.(new NodeInfo("n", testNode("n")))?.reasons;
      expect(filter("example.com/gpu")).toBeUndefined();
      expect(filter("example.com/other")).toEqual(["Insufficient example.com/other"]);
    }
  });

  test("extenders that cannot be", () => {
    expect(
      complaints(`
extenders:
- { urlPrefix: "ftp://x", prioritizeVerb: p, bindVerb: b, httpTimeout: soon, tlsConfig: { caFile: /no/such/file } }
- urlPrefix: http://y
  bindVerb: b
  managedResources: [{ name: cpu }, { name: a/b/c }, { name: example.com/x }, { name: example.com/x }]
`),
    ).toEqual([
      "extenders[0].urlPrefix: expected a URL of HTTP",
      "extenders[0].weight: must have a positive weight applied to it",
      "extenders[0].httpTimeout: expected a duration such as 5s",
      expect.stringMatching(/^extenders\[0\].tlsConfig.caFile: ENOENT/),
      "extenders[1].managedResources[0].name: is an invalid extended resource name",
      expect.stringMatching(/^extenders\[1\].managedResources\[1\].name: a valid label key/),
      "extenders[1].managedResources[3].name: duplicate extender managed resource name",
      "extenders: found 2 extenders implementing bind: only one extender can implement bind",
    ]);
  });

  test("another version, a list, and text that is no YAML", () => {
    const other = () => parseSchedulerConfiguration("apiVersion: v1beta3\nkind: KubeSchedulerConfiguration", "f");
    expect(other).toThrow('apiVersion: expected kubescheduler.config.k8s.io/v1, got "v1beta3"');
    expect(() => parseSchedulerConfiguration("[]", "f")).toThrow("expected a mapping");
    expect(() => parseSchedulerConfiguration("a: [", "f")).toThrow("f: ");
  });
});

describe("arguments of plugins", () => {
  const node = new NodeInfo("a", testNode("a", { allocatable: { cpu: "4", memory: "4Gi", "example.com/gpu": "4" } }));
  const pod = new PodInfo(testPod("p", {}, { requests: { cpu: "1", memory: "1Gi", "example.com/gpu": "2" } }));
  const resources = [
    { name: "cpu", weight: 1 },
    { name: "example.com/gpu", weight: 3 },
  ];

  test("strategies of NodeResourcesFit", () => {
    expect(allocationScore({ type: "LeastAllocated", resources }, pod, node)).toBe(56);
    expect(allocationScore({ type: "MostAllocated", resources }, pod, node)).toBe(43);
    const shape = [
      { utilization: 0, score: 0 },
      { utilization: 100, score: 10 },
    ];
    expect(allocationScore({ type: "RequestedToCapacityRatio", resources, shape }, pod, node)).toBe(44);
    const other = new PodInfo(testPod("q", {}, { requests: { cpu: "1", memory: "1Gi" } }));
    expect(allocationScore({ type: "MostAllocated", resources }, other, node)).toBe(25);
  });

  test("affinity that a profile adds", () => {
    const { plugins } = profile(`
pluginConfig:
- name: NodeAffinity
  args:
    addedAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms: [{ matchExpressions: [{ key: board, operator: In, values: [pi5] }] }]
`);
    const cycle = plugins.find(({ name }) => name === "NodeAffinity")?.begin(pod, undefined as never);
    expect(cycle?.filter?.(node)?.reasons).toEqual(["node(s) didn't match scheduler-enforced node affinity"]);
    expect(cycle?.filter?.(new NodeInfo("b", testNode("b", { labels: { board: "pi5" } })))).toBeUndefined();
  });
});

test("plugins that are taken from postFilter say nothing of pods that no node takes", () => {
  const speaking = (sets: Parameters<typeof schedulerPlugins>[0]): string[] =>
    schedulerPlugins(sets, defaultArgs()).flatMap((plugin) =>
      plugin.name === "DynamicResources" && plugin.begin(new PodInfo(testPod("p")), undefined as never)?.postFilter
        ? [plugin.name]
        : [],
    );
  expect(speaking({})).toEqual(["DynamicResources"]);
  expect(speaking({ postFilter: { enabled: [], disabled: ["*"] } })).toEqual([]);
});
