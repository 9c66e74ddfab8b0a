/** The resources that clients write here, and where their objects rest in the store. */
import type { KubeObject } from "#shared/api/object.ts";

export interface Resource {
  readonly plural: "configmaps" | "pods" | "services" | "widgets";
  readonly apiVersion: string;
  readonly kind: string;
  /** Of the API, before `/namespaces`. */
  readonly root: string;
  /** Of keys in the store, to the namespace. */
  readonly prefix: string;
  /** Its objects have a generation that counts changes of what is wanted. */
  readonly hasGeneration: boolean;
  readonly hasStatus: boolean;
}

export const resources: readonly Resource[] = [
  {
    plural: "configmaps",
    apiVersion: "v1",
    kind: "ConfigMap",
    root: "/api/v1",
    prefix: "/registry/configmaps/",
    hasGeneration: false,
    hasStatus: false,
  },
  {
    plural: "pods",
    apiVersion: "v1",
    kind: "Pod",
    root: "/api/v1",
    prefix: "/registry/pods/",
    hasGeneration: true,
    hasStatus: true,
  },
  {
    plural: "services",
    apiVersion: "v1",
    kind: "Service",
    root: "/api/v1",
    prefix: "/registry/services/",
    hasGeneration: false,
    hasStatus: false,
  },
  {
    plural: "widgets",
    apiVersion: "histories.test/v1",
    kind: "Widget",
    root: "/apis/histories.test/v1",
    prefix: "/registry/histories.test/widgets/",
    hasGeneration: true,
    hasStatus: true,
  },
];

export type Plural = Resource["plural"];

export function resourceOf(plural: Plural): Resource {
  const found = resources.find((each) => each.plural === plural);
  if (!found) throw new Error(`no resource ${plural}`);
  return found;
}

export const plainNamespace = "histories";
export const quotaNamespace = "histories-quota";
export const namespaces = [plainNamespace, quotaNamespace] as const;

/** What the quota allows of each; Pods have none, so that one resource is free in both namespaces. */
export const quotaHard: Readonly<Record<string, number>> = {
  configmaps: 4,
  services: 2,
  "services.nodeports": 1,
  "count/widgets.histories.test": 3,
};

export const quotaKey = `/registry/resourcequotas/${quotaNamespace}/quota`;

/** How a quota names what it counts of a resource, and which objects count. */
export const quotaCounts: readonly {
  readonly name: string;
  readonly plural: Plural;
  readonly counts: (object: KubeObject) => boolean;
}[] = [
  { name: "configmaps", plural: "configmaps", counts: () => true },
  { name: "services", plural: "services", counts: () => true },
  { name: "services.nodeports", plural: "services", counts: (object) => nodePortsOf(object).length > 0 },
  { name: "count/widgets.histories.test", plural: "widgets", counts: () => true },
];

interface ServiceFields {
  readonly spec?: {
    readonly type?: string;
    readonly clusterIPs?: readonly string[];
    readonly ports?: readonly { readonly nodePort?: number }[];
  };
}

export const nodePortsOf = (object: KubeObject): number[] =>
  ((object as ServiceFields).spec?.ports ?? []).flatMap(({ nodePort }) => (nodePort ? [nodePort] : []));

export const clusterIpsOf = (object: KubeObject): string[] =>
  ((object as ServiceFields).spec?.clusterIPs ?? []).filter((ip) => ip !== "None");

export const widgetDefinition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.histories.test" },
  spec: {
    group: "histories.test",
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: { type: "object", additionalProperties: { type: "string" } },
              status: { type: "object", additionalProperties: { type: "string" } },
            },
          },
        },
      },
    ],
  },
};
