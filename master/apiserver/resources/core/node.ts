import type { FieldError } from "#shared/api/errors.ts";
import { nodes } from "#shared/api/resources.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn, orNone, wideColumn } from "../columns.ts";
import { proxy, status } from "../subresources.ts";
import { isDualStack, parseRange, validateRange } from "../validation/addresses.ts";
import { collect, type Field, positive } from "../validation/field.ts";
import { validateAmount } from "../validation/quantities.ts";
import { eachWarned, rangeWarnings } from "../validation/warned-values.ts";
import { validateTaints } from "./pod/validate-scheduling.ts";

const rolePrefix = "node-role.kubernetes.io/";

function roles(node: Node): string {
  const found = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix)) found.add(key.slice(rolePrefix.length));
    else if (key === "kubernetes.io/role") found.add(value);
  }
  found.delete("");
  return orNone([...found].sort().join(","));
}

function readiness(node: Node): string {
  const ready = node.status?.conditions?.findLast(({ type }) => type === "Ready");
  const text = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return node.spec.unschedulable ? `${text},SchedulingDisabled` : text;
}

const address = (node: Node, type: string): string =>
  node.status?.addresses?.find((known) => known.type === type)?.address ?? "<none>";
const info = (node: Node, key: "osImage" | "kernelVersion" | "containerRuntimeVersion"): string =>
  node.status?.nodeInfo?.[key] || "<unknown>";

/** podCIDR and podCIDRs[0] are one value under two names. */
function syncPodRanges({ spec }: Node): void {
  if (spec.podCIDR && !spec.podCIDRs?.length) spec.podCIDRs = [spec.podCIDR];
  else if (spec.podCIDRs?.[0] && !spec.podCIDR) spec.podCIDR = spec.podCIDRs[0];
  else if (spec.podCIDR && spec.podCIDRs?.[0] !== spec.podCIDR) spec.podCIDRs = [spec.podCIDR];
}

function validateResources(object: Node, root: Field): void {
  for (const side of ["capacity", "allocatable"] as const) {
    for (const [name, amount] of Object.entries(object.status?.[side] ?? {})) {
      validateAmount(name, amount, root.at("status", side, name));
    }
  }
}

function validate(object: Node): FieldError[] {
  return collect((root) => {
    const { spec, status: seen } = object;
    validateTaints(spec.taints, root.at("metadata", "taints"));
    validateResources(object, root);
    const swap = seen?.nodeInfo?.swap?.capacity;
    if (swap !== undefined) positive(swap, root.at("metadata", "nodeSwapStatus", "capacity"));
    const ranges = spec.podCIDRs ?? [];
    const field = root.at("spec", "podCIDRs");
    for (const [index, range] of ranges.entries()) validateRange(range, field.index(index));
    if (ranges.length <= 1) return;
    const unreadable = ranges.findIndex((range) => parseRange(range) === undefined);
    if (unreadable >= 0) {
      const why = `invalid CIDR[${unreadable}]: <nil> (invalid CIDR address: ${ranges[unreadable]})`;
      field.internal(`invalid PodCIDRs. failed to check with dual stack with error:${why}`);
    }
    const addresses = ranges.map((range) => range.split("/")[0] ?? "");
    if (unreadable >= 0 || !isDualStack(addresses) || ranges.length > 2) {
      field.invalid(ranges, "may specify no more than one CIDR for each IP family");
    }
  });
}

function validateUpdate(object: Node, old: Readonly<Node>): FieldError[] {
  return collect((root) => {
    const { spec, status: seen } = object;
    validateResources(object, root);
    validateFeatures(seen?.declaredFeatures ?? [], root.at("status", "declaredFeatures"));
    const addresses = seen?.addresses ?? [];
    const seenAddresses = new Set<string>();
    for (const [index, { type, address }] of addresses.entries()) {
      const key = JSON.stringify([type ?? "", address ?? ""]);
      if (seenAddresses.has(key))
        root.at("status", "addresses").index(index).duplicate({ Type: type, Address: address });
      seenAddresses.add(key);
    }
    const before = old.spec.podCIDRs ?? [];
    const changes =
      spec.podCIDRs?.length === before.length
        ? before.filter((range, index) => range !== spec.podCIDRs?.[index])
        : [""];
    for (const _ of before.length > 0 ? changes : []) {
      root.at("spec", "podCIDRs").forbidden('node updates may not change podCIDR except from "" to valid');
    }
    if (old.spec.providerID && old.spec.providerID !== spec.providerID) {
      root.at("spec", "providerID").forbidden('node updates may not change providerID except from "" to valid');
    }
    validateTaints(spec.taints, root.at("metadata", "taints"));
    if ((spec.externalID ?? "") !== (old.spec.externalID ?? ""))
      root.at("spec", "externalID").forbidden("may not be updated");
  });
}

/** Settings that came by ConfigMaps once; where they were written in those days they stay. */
function dropOldSettings({ status: seen }: Node, old: Readonly<Node>): void {
  if (seen && old.status?.config === undefined) delete seen.config;
}

const maxFeature_bytes = 253;

/** In order, each once. */
function validateFeatures(features: readonly string[], field: Field): void {
  for (const [index, name] of features.entries()) {
    const at = field.index(index);
    if (Buffer.byteLength(name) > maxFeature_bytes) {
      at.invalid(name, `invalid feature name ${goQuote(name)}: must be no more than ${maxFeature_bytes} characters`);
    } else if (!/^[A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)*$/.test(name)) {
      at.invalid(
        name,
        `invalid feature name ${goQuote(name)}: must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes`,
      );
    }
    const before = features[index - 1];
    if (before === name) at.duplicate(name);
    else if (before !== undefined && before > name) at.invalid(name, "list must be sorted alphabetically");
  }
}

export const node: ResourceDeclaration<Node> = {
  ref: nodes,
  shortNames: ["no"],
  subresources: { proxy: proxy("NodeProxyOptions"), status },
  columns: [
    nameColumn,
    column("Status", readiness),
    column("Roles", roles),
    ageColumn,
    column("Version", (object) => object.status?.nodeInfo?.kubeletVersion ?? ""),
    wideColumn("Internal-IP", (object) => address(object, "InternalIP")),
    wideColumn("External-IP", (object) => address(object, "ExternalIP")),
    wideColumn("OS-Image", (object) => info(object, "osImage")),
    wideColumn("Kernel-Version", (object) => info(object, "kernelVersion")),
    wideColumn("Container-Runtime", (object) => info(object, "containerRuntimeVersion")),
  ],
  refusesNamespaceField: true,
  selectableFields: { "spec.unschedulable": ({ spec }) => String(spec.unschedulable ?? false) },
  strategy: {
    hasStatus: true,
    keepsStatusOnCreate: true,
    judgesNameOnUpdate: true,
    prepareForStatusUpdate: dropOldSettings,
    warnings: ({ spec }) => [
      ...(spec.externalID ? ["spec.externalID: this field is deprecated, and is unused by Kubernetes"] : []),
      ...eachWarned(spec.podCIDRs, "spec.podCIDRs", rangeWarnings),
    ],
    applyDefaults(draft) {
      draft.spec ??= {};
      const seen = draft.status;
      if (seen?.capacity !== undefined) seen.allocatable ??= { ...seen.capacity };
      syncPodRanges(draft);
    },
    prepareForCreate(draft) {
      delete draft.spec.configSource;
      if (!draft.status) return;
      delete draft.status.config;
      // Behind a gate that upstream keeps closed; it looks at new Nodes alone for that.
      delete draft.status.declaredFeatures;
    },
    prepareForUpdate(draft, old) {
      if (old.spec.configSource === undefined) delete draft.spec.configSource;
    },
    validate,
    validateUpdate: (object, old) => [...validate(object), ...validateUpdate(object, old)],
    validateStatusUpdate: validateUpdate,
  },
};
