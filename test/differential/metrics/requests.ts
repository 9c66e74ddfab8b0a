/** Requests after which metrics are looked at: of each kind that the usual dashboards tell apart. */
export interface MetricsRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
  readonly type?: string;
  /** In place of the administrator's. */
  readonly authorization?: string;
}

const configMaps = "/api/v1/namespaces/default/configmaps";
const widgets = "/apis/metrics.example.org/v1/widgets";
const widget = (name: string, size: number) => ({
  apiVersion: "metrics.example.org/v1",
  kind: "Widget",
  metadata: { name },
  spec: { size },
});

const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.metrics.example.org" },
  spec: {
    group: "metrics.example.org",
    scope: "Cluster",
    names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: { size: { type: "integer" } },
                "x-kubernetes-validations": [{ rule: "self.size > 1" }],
              },
            },
          },
        },
      },
    ],
  },
};

export const requests: readonly MetricsRequest[] = [
  { method: "POST", path: configMaps, body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } } },
  { method: "POST", path: configMaps, body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "Not A Name" } } },
  { method: "GET", path: configMaps },
  { method: "GET", path: `${configMaps}/a` },
  { method: "GET", path: `${configMaps}/missing` },
  { method: "GET", path: `${configMaps}?watch=1&timeoutSeconds=1` },
  { method: "PATCH", path: `${configMaps}/a`, body: { data: { x: "y" } }, type: "application/merge-patch+json" },
  { method: "DELETE", path: `${configMaps}/a` },
  { method: "GET", path: "/version", authorization: "Bearer nonsense" },
  {
    method: "POST",
    path: "/api/v1/namespaces/default/pods",
    body: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p" },
      spec: { containers: [{ name: "c", image: "i" }] },
    },
  },
  { method: "POST", path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body: definition },
];

/** Once the definition is served. */
export const laterRequests: readonly MetricsRequest[] = [
  { method: "POST", path: widgets, body: widget("one", 2) },
  { method: "POST", path: widgets, body: widget("two", 1) },
  { method: "GET", path: widgets },
];

/** Answers are of no matter here. */
export async function ask(send: (request: MetricsRequest) => Promise<number>): Promise<void> {
  for (const request of requests) await send(request);
  while ((await send({ method: "GET", path: widgets })) !== 200) await Bun.sleep(20);
  for (const request of laterRequests) await send(request);
}

export interface SeenFamily {
  readonly type: string;
  /** Names, sorted, without those of buckets and quantiles. */
  readonly labels: readonly string[];
}

/** What a page of metrics has, by name. */
export function familiesIn(page: string): Record<string, SeenFamily> {
  const types = new Map([...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]));
  const labels = new Map<string, Set<string>>();
  for (const [, sample = "", pairs = ""] of page.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/gm)) {
    const name = types.has(sample) ? sample : sample.replace(/_(bucket|sum|count)$/, "");
    const known = labels.get(name) ?? new Set();
    for (const [, label = ""] of pairs.matchAll(/([a-zA-Z_]\w*)="(?:[^"\\]|\\.)*"/g)) known.add(label);
    labels.set(name, known);
  }
  return Object.fromEntries(
    [...types].sort().map(([name, type]) => {
      const own = [...(labels.get(name) ?? [])].filter((label) => label !== "le" && label !== "quantile");
      return [name, { type, labels: own.sort() }];
    }),
  );
}
