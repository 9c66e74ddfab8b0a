/** The kinds whose objects mutating policies change here. */
const within = "/namespaces/mutated";
/** Where objects of each kind are written. */
export const paths = {
  ConfigMap: `/api/v1${within}/configmaps`,
  Secret: `/api/v1${within}/secrets`,
  Service: `/api/v1${within}/services`,
  Pod: `/api/v1${within}/pods`,
  Deployment: `/apis/apps/v1${within}/deployments`,
  Thing: `/apis/m.example.com/v1${within}/things`,
  Namespace: "/api/v1/namespaces",
  HorizontalPodAutoscaler: `/apis/autoscaling/v2${within}/horizontalpodautoscalers`,
} as const;
export type Kind = keyof typeof paths;

/** What a policy about the kind is about, in its rules. */
export const rules: Readonly<Record<Kind, readonly [group: string, version: string, plural: string]>> = {
  ConfigMap: ["", "v1", "configmaps"],
  Secret: ["", "v1", "secrets"],
  Service: ["", "v1", "services"],
  Pod: ["", "v1", "pods"],
  Deployment: ["apps", "v1", "deployments"],
  Thing: ["m.example.com", "v1", "things"],
  Namespace: ["", "v1", "namespaces"],
  HorizontalPodAutoscaler: ["autoscaling", "v1", "horizontalpodautoscalers"],
};

/** Of a kind of the conversation's own. */
export const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "things.m.example.com" },
  spec: {
    group: "m.example.com",
    scope: "Namespaced",
    names: { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" },
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
                properties: {
                  size: { type: "integer", maximum: 9 },
                  colour: { type: "string", default: "red" },
                  tags: { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" },
                  words: { type: "array", items: { type: "string" } },
                  parts: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["id"],
                    items: {
                      type: "object",
                      required: ["id"],
                      properties: { id: { type: "string" }, weight: { type: "integer", default: 1 } },
                    },
                  },
                  whole: {
                    type: "object",
                    "x-kubernetes-map-type": "atomic",
                    properties: { a: { type: "string" }, b: { type: "string" } },
                  },
                  any: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
                },
              },
            },
          },
        },
      },
    ],
  },
};

/** What policies look at as params. */
export const params = [
  { metadata: { name: "one", labels: { of: "params" } }, data: { value: "first" } },
  { metadata: { name: "two", labels: { of: "params" } }, data: { value: "second" } },
];

const template = { spec: { containers: [{ name: "a", image: "a:1" }] } };
/** An object of each kind, for a case to put something over. */
export const ordinary: Readonly<Record<Kind, Readonly<Record<string, unknown>>>> = {
  ConfigMap: { apiVersion: "v1", kind: "ConfigMap", data: { a: "1" } },
  Secret: { apiVersion: "v1", kind: "Secret", data: { a: "YQ==" } },
  Service: {
    apiVersion: "v1",
    kind: "Service",
    spec: { type: "ExternalName", externalName: "a.b", ports: [{ name: "a", port: 80 }] },
  },
  Pod: { apiVersion: "v1", kind: "Pod", ...template },
  Deployment: {
    apiVersion: "apps/v1",
    kind: "Deployment",
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "x" } },
      template: { ...template, metadata: { labels: { app: "x" } } },
    },
  },
  Thing: { apiVersion: "m.example.com/v1", kind: "Thing", spec: { size: 1, tags: ["a"], parts: [{ id: "p" }] } },
  Namespace: { apiVersion: "v1", kind: "Namespace" },
  HorizontalPodAutoscaler: {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    spec: {
      maxReplicas: 3,
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "x" },
      metrics: [
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } } },
      ],
    },
  },
};
