import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import { ingressClassName, ingressControllerName } from "#shared/api/ingress.ts";
import { localPathClassName, localPathProvisionerName } from "#shared/api/local-path.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { equalJson } from "#shared/api/patch/json-value.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import {
  configMaps,
  customResourceDefinitions,
  endpointSlices,
  endpoints,
  ingressClasses,
  namespaces,
  priorityClasses,
  serviceCIDRs,
  services,
  storageClasses,
} from "#shared/api/resources.ts";
import { defaultServiceCIDRName } from "#shared/api/service-addresses.ts";
import type { CustomResourceDefinition } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { ConfigMap, Endpoints, Namespace, Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { ServiceCIDR } from "#shared/api/types/networking-v1.generated.ts";
import type { PriorityClass } from "#shared/api/types/scheduling-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { systemClock, timestamp } from "#shared/client/clock.ts";
import { familyOf } from "#shared/net/ip-family.ts";
import { legacyTokens } from "./apiserver/authn/legacy-token-labels.ts";
import { helmDefinitions } from "./controllers/helm-chart/definitions.ts";

export interface BootstrapOptions {
  readonly client: Client;
  /** Addresses of the API servers; undefined: somebody else keeps the list. */
  readonly masters: readonly string[] | undefined;
  readonly httpsPort: number;
  /** Where Services get their addresses from: one, or one of each family. */
  readonly serviceCidrs: readonly string[];
  /** The `kubernetes` Service's. */
  readonly serviceIp: string;
  /** Of the DNS Service; undefined: somebody else brings DNS. */
  readonly dnsIp: string | undefined;
  /** Whether volumes are made out of folders of boards. */
  readonly localStorage: boolean;
  /** Whether boards serve Ingresses. */
  readonly ingress: boolean;
  /** Whether there are HelmCharts. */
  readonly helm: boolean;
}

/** What those objects are for; those that the server's health tells of by themselves bear its names. */
export type BootstrapPart = (typeof partNames)[number];
const partNames = [
  "namespaces",
  "priority classes",
  "service ranges",
  "kubernetes Service",
  "legacy token tracking",
  "more",
] as const;

/** Objects that every cluster has from the start; brought back at each start, also after somebody deleted them. What is as
 *  it should be is not written. One that is refused keeps no other from its place; rejects with the first refusal then.
 *  @param tracked told of the work on each part; what it gives is done in place of that. */
export async function ensureBootstrapObjects(
  options: BootstrapOptions,
  tracked: (part: BootstrapPart, work: () => Promise<void>) => () => Promise<void> = (_part, work) => work,
): Promise<void> {
  const failures: unknown[] = [];
  for (const part of partNames)
    await tracked(part, () => ensurePart(part, options))().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

async function ensurePart(part: BootstrapPart, options: BootstrapOptions): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps(part, options)) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

function steps(part: BootstrapPart, options: BootstrapOptions): (() => Promise<void>)[] {
  const { client, masters } = options;
  switch (part) {
    case "namespaces": {
      const names = ["default", "kube-system", "kube-public", "kube-node-lease"];
      return names.map((name) => () => ensure(client, namespaces, namespace(name)));
    }
    case "priority classes":
      return systemPriorityClasses.map((priorityClass) => () => ensure(client, priorityClasses, priorityClass));
    case "service ranges":
      return [() => ensureServiceCIDR(client, options.serviceCidrs)];
    case "kubernetes Service":
      return [
        () => ensure(client, services, kubernetesService(options)),
        ...(masters ? [() => ensureMasterEndpoints({ ...options, masters })] : []),
      ];
    case "legacy token tracking":
      return [() => ensure(client, configMaps, legacyTokenTracking(new Date()))];
    case "more":
      return [...moreSteps(options)];
  }
}

/** What is Bramble's own. */
function* moreSteps({ client, dnsIp, helm, ingress, localStorage }: BootstrapOptions): Generator<() => Promise<void>> {
  if (dnsIp !== undefined) yield () => ensure(client, services, dnsService(dnsIp));
  if (helm) for (const definition of helmDefinitions) yield () => applyDefinition(client, definition);
  if (ingress) yield () => ensureIngressClass(client);
  if (localStorage) yield () => ensureLocalPathClass(client);
}

/** Where the `kubernetes` Service leads: called again when a master's address changes. */
export async function ensureMasterEndpoints({
  client,
  masters,
  httpsPort,
}: Pick<BootstrapOptions, "client" | "httpsPort"> & { readonly masters: readonly string[] }): Promise<void> {
  await replace(client, endpoints, kubernetesEndpoints(masters, httpsPort));
  await replace(client, endpointSlices, kubernetesSlice(masters, httpsPort));
}

/** The default for Ingresses that name no class, unless somebody has chosen another one. */
async function ensureIngressClass(client: Client): Promise<void> {
  const { items } = await client.list(ingressClasses);
  const hasDefault = items.some(({ metadata }) => metadata.annotations?.[defaultIngressAnnotation] === "true");
  await ensure(client, ingressClasses, {
    apiVersion: "networking.k8s.io/v1",
    kind: "IngressClass",
    metadata: {
      name: ingressClassName,
      ...(hasDefault ? {} : { annotations: { [defaultIngressAnnotation]: "true" } }),
    },
    spec: { controller: ingressControllerName },
  });
}

/** The default class, unless somebody has chosen another one. */
async function ensureLocalPathClass(client: Client): Promise<void> {
  const { items } = await client.list(storageClasses);
  const hasDefault = items.some(({ metadata }) => metadata.annotations?.[defaultClassAnnotation] === "true");
  await ensure(client, storageClasses, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: {
      name: localPathClassName,
      ...(hasDefault ? {} : { annotations: { [defaultClassAnnotation]: "true" } }),
    },
    provisioner: localPathProvisionerName,
    reclaimPolicy: "Delete",
    volumeBindingMode: "WaitForFirstConsumer",
    allowVolumeExpansion: true,
  });
}

/** Another version may have other fields. */
async function applyDefinition(client: Client, definition: CustomResourceDefinition): Promise<void> {
  const { name = "" } = definition.metadata;
  const present = await getIfPresent(client, customResourceDefinitions, { name });
  if (present && equalJson(present.spec, definition.spec)) return;
  const how = { type: "apply", body: definition, force: true } as const;
  await client.patch(customResourceDefinitions, { name }, how, { fieldManager: "bramble" });
}

async function getIfPresent<T extends KubeObject>(
  client: Client,
  ref: ResourceRef<T>,
  key: { readonly namespace?: string | undefined; readonly name: string },
): Promise<T | undefined> {
  try {
    return await client.get(ref, key);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function ensure<T extends KubeObject>(client: Client, ref: ResourceRef<T>, object: T): Promise<void> {
  const { namespace: inNamespace, name = "" } = object.metadata;
  // Looked for first: a second Service would be refused for its address, not for its name.
  if (await getIfPresent(client, ref, { namespace: inNamespace, name })) return;
  try {
    await client.create(ref, object, { namespace: inNamespace });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

async function replace<T extends KubeObject>(client: Client, ref: ResourceRef<T>, object: T): Promise<void> {
  const { namespace: inNamespace, name = "" } = object.metadata;
  for (let attempt = 0; attempt < 5; attempt++) {
    const present = await getIfPresent(client, ref, { namespace: inNamespace, name });
    if (!present) return ensure(client, ref, object);
    const next = { ...object, metadata: { ...present.metadata, labels: object.metadata.labels } };
    if (equalJson(present, next)) return;
    try {
      await client.update(ref, next);
      return;
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }
}

/** Since when the last use of long-lived tokens is written down. */
function legacyTokenTracking(now: Date): ConfigMap {
  const data = { since: now.toISOString().slice(0, 10) };
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { ...legacyTokens.tracking }, data };
}

function namespace(name: string): Namespace {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {} };
}

const defaultIngressAnnotation = "ingressclass.kubernetes.io/is-default-class";
const defaultClassAnnotation = "storageclass.kubernetes.io/is-default-class";

const systemPriorityClasses: readonly PriorityClass[] = [
  {
    apiVersion: "scheduling.k8s.io/v1",
    kind: "PriorityClass",
    metadata: { name: "system-cluster-critical" },
    value: 2_000_000_000,
    description:
      "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
  },
  {
    apiVersion: "scheduling.k8s.io/v1",
    kind: "PriorityClass",
    metadata: { name: "system-node-critical" },
    value: 2_000_001_000,
    description: "Used for system critical pods that must not be moved from their current node.",
  },
];

/** A cluster that got a second family has it in the default range from then on (KEP-1880); other changes are a person's. */
async function ensureServiceCIDR(client: Client, cidrs: readonly string[]): Promise<void> {
  await ensure(client, serviceCIDRs, defaultServiceCIDR(cidrs));
  const present = await client.get(serviceCIDRs, { name: defaultServiceCIDRName });
  if (cidrs.length === 2 && present.spec.cidrs?.length === 1 && present.spec.cidrs[0] === cidrs[0])
    await client.update(serviceCIDRs, { ...present, spec: { ...present.spec, cidrs: [...cidrs] } });
  if (present.status?.conditions?.some(({ type }) => type === "Ready")) return;
  const how = { type: "apply", body: readyServiceCIDR(timestamp(systemClock)), force: true } as const;
  const as = { fieldManager: "kubernetes-service-cidr-controller", subresource: "status" };
  await client.patch(serviceCIDRs, { name: defaultServiceCIDRName }, how, as);
}

/** Its condition before a controller has looked at it. */
function readyServiceCIDR(lastTransitionTime: string): object {
  const message = "Kubernetes default Service CIDR is ready";
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: { name: defaultServiceCIDRName },
    status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime, message }] },
  };
}

function defaultServiceCIDR(cidrs: readonly string[]): ServiceCIDR {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: { name: defaultServiceCIDRName },
    spec: { cidrs: [...cidrs] },
  };
}

const kubernetesLabels = { component: "apiserver", provider: "kubernetes" };

function kubernetesService({ serviceIp, httpsPort }: BootstrapOptions): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "kubernetes", namespace: "default", labels: kubernetesLabels },
    spec: {
      clusterIP: serviceIp,
      type: "ClusterIP",
      ipFamilyPolicy: "SingleStack",
      ports: [{ name: "https", protocol: "TCP", port: 443, targetPort: httpsPort }],
    },
  } as Service;
}

function kubernetesEndpoints(masters: readonly string[], port: number): Endpoints {
  return {
    apiVersion: "v1",
    kind: "Endpoints",
    // The slice below is written along with it, so it must not be mirrored too.
    metadata: {
      name: "kubernetes",
      namespace: "default",
      labels: { "endpointslice.kubernetes.io/skip-mirror": "true" },
    },
    subsets: [{ addresses: masters.map((ip) => ({ ip })), ports: [{ name: "https", port, protocol: "TCP" }] }],
  };
}

function kubernetesSlice(masters: readonly string[], port: number): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "kubernetes", namespace: "default", labels: { "kubernetes.io/service-name": "kubernetes" } },
    // All masters advertise addresses of the cluster's first family.
    addressType: familyOf(masters[0] ?? ""),
    endpoints: masters.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
    ports: [{ name: "https", port, protocol: "TCP" }],
  };
}

/** Every board answers on the address itself, so it has no endpoints; pods only need it to be there. */
function dnsService(clusterIP: string): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "kube-dns",
      namespace: "kube-system",
      labels: { "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS" },
    },
    spec: {
      clusterIP,
      type: "ClusterIP",
      ports: [
        { name: "dns", protocol: "UDP", port: 53, targetPort: 53 },
        { name: "dns-tcp", protocol: "TCP", port: 53, targetPort: 53 },
      ],
    },
  } as Service;
}
