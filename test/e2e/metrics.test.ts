import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { PodMetricsList } from "#shared/api/types/metrics-v1beta1.generated.ts";
import { readPrometheus } from "#shared/metrics/prometheus-text.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { image, patience_s, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(400_000);

/** Works as hard as it may where the file /tmp/busy is, and rests where not. */
const script =
  "touch /tmp/busy; while :; do if [ -e /tmp/busy ]; then i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; else sleep 1; fi; done";

function worker(name: string): object {
  const labels = { app: name };
  const resources = { requests: { cpu: "100m", memory: "16Mi" }, limits: { cpu: "200m", memory: "64Mi" } };
  const containers = [
    { name: "work", image, command: ["sh", "-c", script], resources },
    { name: "rest", image, command: ["sleep", "100000"], resources: { requests: { cpu: "10m" } } },
  ];
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers } },
    },
  };
}

/** What is looked at of stats/v1alpha1. */
interface Summary {
  readonly node: { readonly cpu: { readonly usageNanoCores?: number } };
  readonly pods: readonly {
    readonly podRef: { readonly name: string };
    readonly network: { readonly interfaces: readonly { readonly name: string }[] };
    readonly containers: readonly { readonly name: string; readonly cpu: { readonly usageNanoCores?: number } }[];
  }[];
}

describe("metrics of a cluster of one master and one worker", () => {
  let it: TestCluster;
  beforeAll(async () => {
    it = await startCluster({ name: "e2em", workers: 1 });
    it.apply(worker("web"));
    it.kubectl("rollout", "status", "deployment/web", "--timeout=180s");
  });
  afterAll(() => it.stop());

  const raw = (path: string): string => it.kubectl("get", "--raw", path);
  const kubelet = (path: string): string => raw(`/api/v1/nodes/worker-1/proxy/${path}`);
  const names = (text: string): Set<string> => {
    const found = new Set<string>();
    readPrometheus(text, (name) => found.add(name));
    return found;
  };

  test("the API is there as metrics-server's would be", () => {
    expect(it.kubectl("get", "apiservice", "v1beta1.metrics.k8s.io")).toMatch(/Local\s+True/);
    expect(it.kubectl("api-resources", "--api-group", "metrics.k8s.io")).toMatch(
      /nodes[^\n]*NodeMetrics[\s\S]*PodMetrics/,
    );
    expect(it.kubectl("explain", "pods", "--api-version", "metrics.k8s.io/v1beta1")).toContain("PodMetrics");
  });

  test("kubectl top shows boards, pods and containers, and sorts", async () => {
    expect(await it.until(/worker-1\s+\d+m\s+\d+%\s+\d+Mi\s+\d+%/, "top", "node")).toContain("CPU(cores)");
    await it.until(/web-\S+\s+[1-9]\d*m\s+\d+Mi/, "top", "pod", "--sort-by=cpu");
    const containers = ["top", "pod", "--containers", "--sort-by=memory", "-l", "app=web"];
    await it.until(/ work +[1-9]\d*m/, ...containers);
    await it.until(/ rest +[01]m/, ...containers);
    await it.until(/web-/, "top", "pod", "-A", "--sum");
    expect(() => it.kubectl("top", "pod", "-n", "kube-public", "none")).toThrow("not found");
  });

  test("CPU is the mean of its window: a limit of 200m holds", async () => {
    const path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods?labelSelector=app%3Dweb";
    // A window that is short, as a container's first one may be, ends within one of the times in which the limit is shared out.
    await waitFor("usage within the limit", patience_s, () => {
      const { items } = JSON.parse(raw(path)) as PodMetricsList;
      const work = items[0]?.containers.find(({ name }) => name === "work");
      expect(String(work?.usage["cpu"])).toMatch(/^\d+[num]?$/);
      expect(items[0]?.window).toMatch(/^\d+(\.\d+)?s$/);
      const nano = Number.parseInt(String(work?.usage["cpu"]), 10);
      return (String(work?.usage["cpu"]).endsWith("n") ? nano / 1e6 : nano) < 260 || undefined;
    });
  });

  test("who may view a namespace may see its usage, and nobody else's", () => {
    it.kubectl("create", "serviceaccount", "viewer");
    it.kubectl("create", "rolebinding", "viewer", "--clusterrole=view", "--serviceaccount=default:viewer");
    const as = "--as=system:serviceaccount:default:viewer";
    expect(it.kubectl("top", "pod", as)).toContain("web-");
    expect(() => it.kubectl("top", "pod", "-n", "kube-system", as)).toThrow("pods.metrics.k8s.io is forbidden");
    expect(() => it.kubectl("top", "node", as)).toThrow("nodes.metrics.k8s.io is forbidden");
  });

  test("boards tell of their hardware", () => {
    const [header = "", line = ""] = it.kubectl("get", "boards").split("\n");
    expect(header.split(/\s+/).slice(0, 7)).toEqual(["NAME", "READY", "TEMP", "POWER", "MEMORY", "DISK", "PODS"]);
    expect(line).toMatch(/^worker-1\s+True\s+\S+\s+\S+\s+\d+%\s+\d+%\s+[1-9]/);
    expect(it.kubectl("get", "board", "worker-1", "-o", "jsonpath={.status.memory.capacityBytes}")).toMatch(/^\d+$/);
    expect(() => it.kubectl("get", "board", "none")).toThrow("not found");
    expect(it.kubectl("explain", "boards.status")).toContain("temperatureCelsius");
  });

  test("the kubelet's pages for Prometheus have what dashboards query", async () => {
    const resource = names(kubelet("metrics/resource"));
    for (const name of [
      "node_cpu_usage_seconds_total",
      "node_memory_working_set_bytes",
      "container_cpu_usage_seconds_total",
      "container_start_time_seconds",
      "pod_memory_working_set_bytes",
      "resource_scrape_error",
    ])
      expect(resource).toContain(name);
    const cadvisor = names(kubelet("metrics/cadvisor"));
    for (const name of [
      "container_cpu_usage_seconds_total",
      "container_cpu_cfs_throttled_periods_total",
      "container_memory_working_set_bytes",
      "container_memory_cache",
      "container_network_receive_bytes_total",
      "container_network_transmit_packets_dropped_total",
      "container_spec_memory_limit_bytes",
      "machine_memory_bytes",
    ])
      expect(cadvisor).toContain(name);
    expect(names(kubelet("metrics"))).toContain("kubelet_running_pods");
    expect(names(kubelet("metrics/board"))).toContain("node_filesystem_avail_bytes");
    expect(kubelet("metrics/probes")).toBe("");
    const throttled: number[] = [];
    readPrometheus(kubelet("metrics/cadvisor"), (name, { labels, value }) => {
      if (name === "container_cpu_cfs_throttled_periods_total" && labels["container"] === "work") throttled.push(value);
    });
    expect(throttled[0]).toBeGreaterThan(0);
  });

  test("the summary has a rate from its second answer on, and a pod's traffic once", async () => {
    const summary = (): Summary => JSON.parse(kubelet("stats/summary")) as Summary;
    const web = ({ pods }: Summary) => pods.find(({ podRef }) => podRef.name.startsWith("web-"));
    const work = (told: Summary) => web(told)?.containers.find(({ name }) => name === "work");
    // A rate over very little time is none.
    await waitFor("rates", patience_s, () => {
      const told = summary();
      const rates = [told.node.cpu.usageNanoCores, work(told)?.cpu.usageNanoCores];
      return rates.every((rate) => (rate ?? 0) > 0) || undefined;
    });
    expect(web(summary())?.network.interfaces.map(({ name }) => name)).toEqual(["eth0"]);
  });

  test("a HorizontalPodAutoscaler follows the load up", async () => {
    it.kubectl("autoscale", "deployment", "web", "--cpu=50%", "--min=1", "--max=3");
    await it.until(/^3$/, "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}");
    await it.until(/cpu: \d+%\/50%/, "get", "hpa", "web");
  });
});
