/** What people are told about a pod, or a template of one, that is valid and still probably not meant so (pkg/api/pod). */

import { milliValue, parseQuantity } from "#shared/api/quantity.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import { trimEnd } from "#shared/api/trim-end.ts";
import type {
  Container,
  ContainerPort,
  EnvVar,
  PodAffinityTerm,
  PodSpec,
  PodTemplateSpec,
  Volume,
  VolumeProjection,
} from "#shared/api/types/core-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import { semanticEqual } from "../../validation/field.ts";
import { isDns1123Label } from "../../validation/names.ts";
import {
  addressWarnings,
  eachWarned,
  labelNameWarnings,
  oldLabelWarning,
  selectorTermWarnings,
} from "../../validation/warned-values.ts";
import { claimSpecWarnings } from "../claim-warnings.ts";

type Tell = (warning: string) => void;

export function podWarnings({ metadata, spec }: PodTemplateSpec, path: string): string[] {
  const warnings: string[] = [];
  if (spec) tellAboutPod(spec, metadata?.annotations ?? {}, path, (warning) => warnings.push(warning));
  return warnings;
}

interface WithTemplate {
  readonly metadata: ObjectMeta;
  readonly spec: { readonly template?: PodTemplateSpec | undefined };
}

/** Of a workload that makes pods: on its creation, and when its template changes. */
export function templateWarnings({ spec }: WithTemplate, old: WithTemplate | undefined): string[] {
  if (!spec.template || (old && semanticEqual(spec, old.spec))) return [];
  return podWarnings(spec.template, "spec.template");
}

/** As templateWarnings, for one after whose name the pods' hosts are called. */
export const workloadWarnings = (object: WithTemplate, old: WithTemplate | undefined): string[] => [
  ...(old ? [] : hostNameWarnings(object.metadata)),
  ...templateWarnings(object, old),
];

export function hostNameWarnings({ name = "" }: ObjectMeta): string[] {
  const errors = isDns1123Label(name);
  const why =
    "this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended";
  return errors.length === 0 ? [] : [`metadata.name: ${why}: [${errors.join(" ")}]`];
}

function tellAboutPod(spec: PodSpec, annotations: Readonly<Record<string, string>>, path: string, tell: Tell): void {
  const at = path === "" ? "spec" : `${path}.spec`;
  tellAboutSelectors(spec, at, tell);
  for (const warning of nodeLabelWarnings(spec, at)) tell(warning);
  const annotated = (key: string): string => `${path === "" ? "" : `${path}.`}metadata.annotations[${key}]`;
  for (const [key, message] of Object.entries(deadAnnotations)) {
    if (key in annotations) tell(`${annotated(key)}: ${message}`);
  }
  const noSeccomp = (key: string, context: { readonly seccompProfile?: unknown } | undefined): void => {
    if (key in annotations && !context?.seccompProfile)
      tell(`${annotated(key)}: non-functional in v1.27+; use the "seccompProfile" field instead`);
  };
  noSeccomp("seccomp.security.alpha.kubernetes.io/pod", spec.securityContext);
  for (const [index, volume] of (spec.volumes ?? []).entries())
    tellAboutVolume(volume, `${at}.volumes[${index}]`, tell);
  tellTwice(
    spec.hostAliases ?? [],
    ({ ip }) => ip,
    (ip, index) => tell(`${at}.hostAliases[${index}].ip: duplicate ip ${goQuote(ip)}`),
  );
  const secrets = spec.imagePullSecrets ?? [];
  tellTwice(
    secrets,
    ({ name = "" }) => name,
    (name, index) => tell(`${at}.imagePullSecrets[${index}].name: duplicate name ${goQuote(name)}`),
  );
  for (const [index, { ip }] of (spec.hostAliases ?? []).entries())
    for (const warning of addressWarnings(ip, `${at}.hostAliases[${index}].ip`)) tell(warning);
  for (const warning of eachWarned(spec.dnsConfig?.nameservers, `${at}.dnsConfig.nameservers`, addressWarnings))
    tell(warning);
  for (const [index, { name }] of secrets.entries())
    if (!name) tell(`${at}.imagePullSecrets[${index}].name: invalid empty name ""`);
  tellFractions(spec.overhead, `${at}.overhead`, tell);
  const containers = containersOf(spec, at);
  for (const [container, place] of containers) {
    tellFractions(container.resources?.limits, `${place}.resources.limits`, tell);
    tellFractions(container.resources?.requests, `${place}.resources.requests`, tell);
    tellAboutEnv(container.env ?? [], `${place}.env`, tell);
    noSeccomp(`container.seccomp.security.alpha.kubernetes.io/${container.name}`, container.securityContext);
  }
  tellAboutPorts(containers, tell);
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0)
    tell(`${at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`);
}

const deadAnnotations: Readonly<Record<string, string>> = {
  "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
  "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
  "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
};

const deadVolumes: Readonly<Record<string, string>> = {
  photonPersistentDisk: "deprecated in v1.11, non-functional in v1.16+",
  gitRepo: "deprecated in v1.11, and disabled by default in v1.33+",
  scaleIO: "deprecated in v1.16, non-functional in v1.22+",
  flocker: "deprecated in v1.22, non-functional in v1.25+",
  storageos: "deprecated in v1.22, non-functional in v1.25+",
  quobyte: "deprecated in v1.22, non-functional in v1.25+",
  glusterfs: "deprecated in v1.25, non-functional in v1.26+",
  cephfs: "deprecated in v1.28, non-functional in v1.31+",
  rbd: "deprecated in v1.28, non-functional in v1.31+",
};

function tellAboutSelectors({ topologySpreadConstraints = [], affinity = {} }: PodSpec, at: string, tell: Tell): void {
  const selector = (labelSelector: unknown, place: string): void => {
    if (!labelSelector) tell(`${place}.labelSelector: a null labelSelector results in matching no pod`);
  };
  for (const [index, { labelSelector }] of topologySpreadConstraints.entries())
    selector(labelSelector, `${at}.topologySpreadConstraints[${index}]`);
  for (const kind of ["podAffinity", "podAntiAffinity"] as const) {
    const place = `${at}.affinity.${kind}`;
    const required: readonly PodAffinityTerm[] = affinity[kind]?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    for (const [index, { labelSelector }] of required.entries())
      selector(labelSelector, `${place}.requiredDuringSchedulingIgnoredDuringExecution[${index}]`);
    const preferred = affinity[kind]?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    for (const [index, { podAffinityTerm }] of preferred.entries()) {
      const term = `${place}.preferredDuringSchedulingIgnoredDuringExecution[${index}].podAffinityTerm`;
      selector(podAffinityTerm?.labelSelector, term);
    }
  }
}

/** Of labels of nodes under old names. */
function nodeLabelWarnings({ nodeSelector, affinity, topologySpreadConstraints = [] }: PodSpec, at: string): string[] {
  const place = `${at}.affinity.nodeAffinity`;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const preferred = affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return [
    ...Object.keys(nodeSelector ?? {}).flatMap((label) => {
      const why = oldLabelWarning(label);
      return why === undefined ? [] : [`${at}.nodeSelector[${label}]: ${why}`];
    }),
    ...required.flatMap((term, index) =>
      selectorTermWarnings(term, `${place}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[${index}]`),
    ),
    ...preferred.flatMap(({ preference }, index) =>
      selectorTermWarnings(preference, `${place}.preferredDuringSchedulingIgnoredDuringExecution[${index}].preference`),
    ),
    ...topologySpreadConstraints.flatMap(({ topologyKey }, index) =>
      labelNameWarnings(topologyKey, `${at}.topologySpreadConstraints[${index}].topologyKey`),
    ),
  ];
}

function tellAboutVolume(volume: Volume, at: string, tell: Tell): void {
  for (const [source, message] of Object.entries(deadVolumes)) {
    if (volume[source as keyof Volume]) tell(`${at}.${source === "storageos" ? "storageOS" : source}: ${message}`);
  }
  const { configMap, secret, downwardAPI, ephemeral, projected } = volume;
  const template = ephemeral?.volumeClaimTemplate;
  if (template)
    for (const warning of claimSpecWarnings(template.spec, `${at}.ephemeral.volumeClaimTemplate.spec`)) tell(warning);
  const overlaps = (items: readonly { readonly path: string }[] | undefined, what: string): void => {
    for (const overlap of overlapping(items ?? []))
      tell(`volume ${goQuote(volume.name)} (${what}): overlapping paths: ${overlap}`);
  };
  if (configMap) overlaps(configMap.items, `ConfigMap ${goQuote(configMap.name ?? "")}`);
  if (secret) overlaps(secret.items, `Secret ${goQuote(secret.secretName ?? "")}`);
  if (downwardAPI) overlaps(downwardAPI.items, "DownwardAPI");
  const sources = projected?.sources ?? [];
  for (const source of sources)
    if (Object.keys(source).length === 0) tell(`volume ${goQuote(volume.name)} (Projected) has no sources provided`);
  for (const overlap of overlapping(sources.flatMap(projectedPaths)))
    tell(`volume ${goQuote(volume.name)} (Projected): overlapping paths: ${overlap}`);
}

interface SourcedPath {
  readonly path: string;
  /** What puts a file there, where a volume has several of them. */
  readonly source?: string;
}

function projectedPaths({
  configMap,
  secret,
  downwardAPI,
  serviceAccountToken: token,
}: VolumeProjection): SourcedPath[] {
  const from = (source: string, items: readonly { readonly path: string }[] = []): SourcedPath[] =>
    items.map(({ path }) => ({ path, source }));
  if (configMap) return from(`ConfigMap ${goQuote(configMap.name ?? "")}`, configMap.items);
  if (secret) return from(`Secret ${goQuote(secret.name ?? "")}`, secret.items);
  if (downwardAPI) return from("DownwardAPI", downwardAPI.items);
  return token ? from("ServiceAccountToken", [token]) : [];
}

/** So many paths of a volume are compared with each other. */
const MOST_COMPARED = 1000;

/** Pairs of which one is the other, or would be a folder that holds it. */
function overlapping(paths: readonly SourcedPath[]): string[] {
  const plain = paths.slice(0, MOST_COMPARED).map(({ path, source }) => ({ path: trimEnd(path, "/"), source }));
  const told = ({ path, source }: (typeof plain)[number]): string => goQuote(path) + (source ? ` (${source})` : "");
  return plain.flatMap((each, index) =>
    each.path === ""
      ? []
      : plain
          .slice(0, index)
          .filter(({ path }) => `${path}/`.startsWith(`${each.path}/`) || `${each.path}/`.startsWith(`${path}/`))
          .map((other) => `${told(each)} with ${told(other)}`),
  );
}

function tellTwice<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  twice: (key: string, index: number) => void,
): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const key = keyOf(item);
    if (seen.has(key)) twice(key, index);
    seen.add(key);
  }
}

function tellFractions(amounts: Readonly<Record<string, string | number>> | undefined, at: string, tell: Tell): void {
  for (const name of ["memory", "ephemeral-storage"]) {
    const amount = amounts?.[name];
    if (amount === undefined || milliValue(parseQuantity(String(amount))) % 1000 === 0) continue;
    tell(`${at}[${name}]: fractional byte value ${goQuote(String(amount))} is invalid, must be an integer`);
  }
}

function tellAboutEnv(env: readonly EnvVar[], at: string, tell: Tell): void {
  const seen = new Set<string>();
  for (const [index, { name, value = "", valueFrom }] of env.entries()) {
    const reference = `$(${name})`;
    // `X=$(X)more` adds to the value before it.
    if (seen.has(name) && (valueFrom || value === reference || !value.includes(reference)))
      tell(`${at}[${index}]: hides previous definition of ${goQuote(name)}, which may be dropped when using apply`);
    seen.add(name);
  }
}

type Placed = readonly [
  container: Pick<Container, "name" | "ports" | "env" | "resources" | "securityContext">,
  place: string,
];

function containersOf(spec: PodSpec, at: string): Placed[] {
  const lists = ["initContainers", "containers", "ephemeralContainers"] as const;
  return lists.flatMap((list) => (spec[list] ?? []).map((each, index): Placed => [each, `${at}.${list}[${index}]`]));
}

const goPort = ({ name = "", hostPort = 0, containerPort, protocol = "", hostIP = "" }: ContainerPort): string =>
  `{Name:${name} HostPort:${hostPort} ContainerPort:${containerPort} Protocol:${protocol} HostIP:${hostIP}}`;

function tellAboutPorts(containers: readonly Placed[], tell: Tell): void {
  const byPort = new Map<string, { readonly port: ContainerPort; readonly at: string }[]>();
  const byName = new Map<string, string>();
  const ports = containers.flatMap(([{ ports: own = [] }, place]) =>
    own.map((port, index) => ({ port, at: `${place}.ports[${index}]` })),
  );
  for (const each of ports) {
    const { port, at } = each;
    if (port.hostIP && !port.hostPort) tell(`${at}: hostIP set without hostPort: ${goPort(port)}`);
    const key = `${port.containerPort}/${port.protocol}`;
    const others = byPort.get(key) ?? [];
    for (const other of others) {
      const relation = clash(port, other.port);
      if (relation) tell(`${at}: ${relation} port definition with ${other.at}`);
    }
    byPort.set(key, [...others, each]);
  }
  for (const { port, at } of ports) {
    if (!port.name) continue;
    const first = byName.get(port.name);
    if (first === undefined) byName.set(port.name, at);
    else
      tell(
        `${at}: duplicate port name ${goQuote(port.name)} with ${first}, services and probes that select ports by name will use ${first}`,
      );
  }
}

function clash(a: ContainerPort, b: ContainerPort): "duplicate" | "overlapping" | "dangerously ambiguous" | undefined {
  const [hostA, hostB] = [a.hostPort ?? 0, b.hostPort ?? 0];
  if ((a.hostIP ?? "") === (b.hostIP ?? "") && hostA === hostB) return "duplicate";
  if (hostA === 0 || hostB === 0) return "overlapping";
  return hostA === hostB && !a.hostIP !== !b.hostIP ? "dangerously ambiguous" : undefined;
}
