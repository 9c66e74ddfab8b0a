import type { KubeObject } from "#shared/api/object.ts";
import {
  compareQuantities,
  parseQuantity,
  type Quantity,
  quantityOf,
  wholeValue,
  zeroQuantity,
} from "#shared/api/quantity.ts";
import { storageClassNameOf } from "#shared/api/storage-class-name.ts";
import type {
  PersistentVolumeClaim,
  Pod,
  ScopedResourceSelectorRequirement,
  Service,
} from "#shared/api/types/core-v1.generated.ts";
import type { ResourceClaim } from "#shared/api/types/resource-v1.generated.ts";
import { one, type QuotaAmounts } from "./amounts.ts";
import { deviceClaimUsage, isDeviceClaimName } from "./device-claims.ts";
import { isPodResource, podConstraint, podUsage } from "./pod-usage.ts";
import { claimMatchesScope, isTerminating, podMatchesScope } from "./scopes.ts";

export interface CountedResource {
  readonly group: string;
  readonly plural: string;
}

/** A write as far as quotas care. */
export interface QuotaWrite {
  readonly operation: string;
  readonly subresource?: string | undefined;
  readonly object: KubeObject;
  readonly oldObject?: KubeObject | undefined;
}

/** How one resource is counted. */
export interface QuotaEvaluator {
  /** Whether its objects are counted under a quota's name. */
  counts(name: string): boolean;
  usage(object: KubeObject, now_ms: number): QuotaAmounts;
  /** What so many objects use, where all use the same, so that none need be looked at. */
  usageOf?(count: number): QuotaAmounts;
  /** Whether a write can change what is used. */
  concerns(write: QuotaWrite): boolean;
  matchesScope(scope: ScopedResourceSelectorRequirement, object: KubeObject): boolean;
  /** Why an object cannot be counted under these names. */
  constraint?(names: readonly string[], object: KubeObject): string | undefined;
}

const ignored: ReadonlySet<string> = new Set([
  "bindings.",
  "componentstatuses.",
  "events.",
  "events.events.k8s.io",
  "tokenreviews.authentication.k8s.io",
  "selfsubjectreviews.authentication.k8s.io",
  "subjectaccessreviews.authorization.k8s.io",
  "selfsubjectaccessreviews.authorization.k8s.io",
  "localsubjectaccessreviews.authorization.k8s.io",
  "selfsubjectrulesreviews.authorization.k8s.io",
]);

/** Names from before every resource could be counted by `count/…`. */
const oldNames: Readonly<Record<string, string>> = {
  configmaps: "configmaps",
  resourcequotas: "resourcequotas",
  replicationcontrollers: "replicationcontrollers",
  secrets: "secrets",
};

/** How a resource is counted; undefined for what quotas leave alone. */
export function evaluatorFor({ group, plural }: CountedResource): QuotaEvaluator | undefined {
  const key = `${plural}.${group}`;
  if (ignored.has(key)) return undefined;
  switch (key) {
    case "pods.":
      return podEvaluator as QuotaEvaluator;
    case "services.":
      return serviceEvaluator as QuotaEvaluator;
    case "persistentvolumeclaims.":
      return claimEvaluator as QuotaEvaluator;
    case "resourceclaims.resource.k8s.io":
      return deviceClaimEvaluator as QuotaEvaluator;
    default:
      return objectCount({ group, plural });
  }
}

/** The resources whose objects have to be counted for a quota that limits `names`. */
export function countedResources(names: readonly string[]): CountedResource[] {
  const found = new Map<string, CountedResource>();
  const add = (group: string, plural: string) => found.set(`${plural}.${group}`, { group, plural });
  for (const name of names) {
    if (podEvaluator.counts(name)) add("", "pods");
    else if (serviceEvaluator.counts(name)) add("", "services");
    else if (claimEvaluator.counts(name)) add("", "persistentvolumeclaims");
    else if (deviceClaimEvaluator.counts(name)) add("resource.k8s.io", "resourceclaims");
    else if (oldNames[name] !== undefined) add("", name);
    else if (name.startsWith("count/")) {
      const [plural = "", ...group] = name.slice("count/".length).split(".");
      add(group.join("."), plural);
    }
  }
  return [...found.values()];
}

const countName = ({ group, plural }: CountedResource): string => `count/${plural}${group === "" ? "" : `.${group}`}`;

function objectCount(resource: CountedResource): QuotaEvaluator {
  const alias = resource.group === "" ? oldNames[resource.plural] : undefined;
  const names = alias === undefined ? [countName(resource)] : [countName(resource), alias];
  return {
    counts: (name) => names.includes(name),
    usage: () => new Map(names.map((name) => [name, one])),
    usageOf: (count) => new Map(names.map((name) => [name, quantityOf(count)])),
    concerns: ({ operation, subresource }) => operation === "CREATE" && !subresource,
    matchesScope: () => false,
  };
}

/** The evaluators take narrower objects than their interface: `evaluatorFor` hands each only its own kind. */
type EvaluatorOf<T> = {
  counts(name: string): boolean;
  usage(object: T, now_ms: number): QuotaAmounts;
  concerns(write: QuotaWrite): boolean;
  matchesScope(scope: ScopedResourceSelectorRequirement, object: T): boolean;
  constraint?(names: readonly string[], object: T): string | undefined;
};

const podEvaluator: EvaluatorOf<Pod> = {
  counts: isPodResource,
  usage: podUsage,
  concerns({ operation, subresource, object, oldObject }) {
    if (subresource === "resize") return operation === "UPDATE";
    if (subresource) return false;
    if (operation === "UPDATE" && oldObject) return isTerminating(object as Pod) !== isTerminating(oldObject as Pod);
    return operation === "CREATE";
  },
  matchesScope: podMatchesScope,
  constraint: podConstraint,
};

const serviceNames = ["count/services", "services", "services.nodeports", "services.loadbalancers"];

const serviceEvaluator: EvaluatorOf<Service> = {
  counts: (name) => serviceNames.includes(name),
  usage({ spec }) {
    const ports = spec?.ports ?? [];
    const isBalanced = spec?.type === "LoadBalancer";
    const withPort = ports.filter((port) => port.nodePort).length;
    const nodePorts =
      spec?.type === "NodePort" || (isBalanced && spec.allocateLoadBalancerNodePorts !== false)
        ? ports.length
        : isBalanced
          ? withPort
          : 0;
    return new Map([
      ["count/services", one],
      ["services", one],
      ["services.nodeports", quantityOf(nodePorts)],
      ["services.loadbalancers", isBalanced ? one : zeroQuantity],
    ]);
  },
  concerns: ({ operation, subresource }) => !subresource && (operation === "CREATE" || operation === "UPDATE"),
  matchesScope: () => false,
};

const claimNames = ["persistentvolumeclaims", "requests.storage"];
const classInfix = ".storageclass.storage.k8s.io/";

const claimEvaluator: EvaluatorOf<PersistentVolumeClaim> = {
  counts: (name) =>
    name === "count/persistentvolumeclaims" ||
    claimNames.includes(name) ||
    claimNames.some((own) => name.endsWith(classInfix + own)),
  usage(claim) {
    const usage = new Map<string, Quantity>([
      ["persistentvolumeclaims", one],
      ["count/persistentvolumeclaims", one],
    ]);
    const className = storageClassNameOf(claim);
    const storage = requestedStorage(claim);
    if (className) usage.set(`${className}${classInfix}persistentvolumeclaims`, one);
    if (storage) usage.set("requests.storage", storage);
    if (storage && className) usage.set(`${className}${classInfix}requests.storage`, storage);
    return usage;
  },
  concerns({ operation, subresource, object, oldObject }) {
    if (!subresource) return operation === "CREATE" || operation === "UPDATE";
    const allocated = (claim: KubeObject | undefined) =>
      (claim as PersistentVolumeClaim | undefined)?.status?.allocatedResources?.["storage"];
    return subresource === "status" && allocated(object) !== allocated(oldObject);
  },
  matchesScope: claimMatchesScope,
};

const deviceClaimEvaluator: EvaluatorOf<ResourceClaim> = {
  counts: isDeviceClaimName,
  usage: deviceClaimUsage,
  concerns: ({ operation, subresource }) => !subresource && (operation === "CREATE" || operation === "UPDATE"),
  matchesScope: () => false,
};

/** What is asked for, or already allocated if that is more; in whole bytes. */
function requestedStorage({ spec, status }: PersistentVolumeClaim): Quantity | undefined {
  const asked = spec?.resources?.requests?.["storage"];
  if (asked === undefined) return undefined;
  const allocated = status?.allocatedResources?.["storage"];
  const request = parseQuantity(asked);
  const taken = allocated === undefined ? request : parseQuantity(allocated);
  const larger = compareQuantities(taken, request) > 0 ? taken : request;
  return quantityOf(wholeValue(larger), larger.format);
}
