import type { FieldError } from "#shared/api/errors.ts";
import type { CSIDriver, CSINode, CSINodeDriver, TokenRequest } from "#shared/api/types/storage-v1.generated.ts";
import { validateCSIDriverName } from "../core/volume-sources.ts";
import { collect, each, type Field, immutable, nonNegative, oneOf, semanticEqual } from "../validation/field.ts";
import { firstByKey } from "../validation/first-by-key.ts";
import { isQualifiedName } from "../validation/names.ts";

const maxNodeId = 256;
const minTokenLife_s = 600;
const maxTokenLife_s = 2 ** 32;
const minUpdatePeriod_s = 10;
const lifecycleModes = ["Persistent", "Ephemeral"];
const groupPolicies = ["File", "None", "ReadWriteOnceWithFSType"];

export function applyDriverDefaults({ spec }: CSIDriver): void {
  spec.attachRequired ??= true;
  spec.podInfoOnMount ??= false;
  spec.storageCapacity ??= false;
  spec.fsGroupPolicy ??= "ReadWriteOnceWithFSType";
  if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ["Persistent"];
  spec.requiresRepublish ??= false;
  spec.seLinuxMount ??= false;
}

export const validateDriver = ({ spec }: CSIDriver): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    if (spec.fsGroupPolicy !== undefined) oneOf(spec.fsGroupPolicy, groupPolicies, field.at("fsGroupPolicy"));
    validateTokenRequests(spec.tokenRequests ?? [], field.at("tokenRequests"));
    for (const mode of spec.volumeLifecycleModes ?? []) oneOf(mode, lifecycleModes, field.at("volumeLifecycleModes"));
    const { nodeAllocatableUpdatePeriodSeconds: period_s, serviceAccountTokenInSecrets: inSecrets } = spec;
    if (period_s !== undefined && period_s < minUpdatePeriod_s) {
      field
        .at("nodeAllocatableUpdatePeriodSeconds")
        .invalid(period_s, `must be greater than or equal to ${minUpdatePeriod_s} seconds`);
    }
    if (inSecrets !== undefined && !spec.tokenRequests?.length) {
      field
        .at("serviceAccountTokenInSecrets")
        .invalid(inSecrets, "serviceAccountTokenInSecrets is set but no tokenRequests are specified");
    }
  });

export const validateDriverUpdate = (driver: CSIDriver, old: Readonly<CSIDriver>): FieldError[] => [
  ...validateDriver(driver),
  ...collect((root) => {
    const field = root.at("spec");
    // So spelt upstream.
    immutable(driver.spec.attachRequired, old.spec.attachRequired, field.at("attachedRequired"));
    immutable(driver.spec.volumeLifecycleModes, old.spec.volumeLifecycleModes, field.at("volumeLifecycleModes"));
  }),
];

function validateTokenRequests(requests: readonly TokenRequest[], field: Field): void {
  const audiences = new Set<string>();
  each(requests, field, ({ audience = "", expirationSeconds: life_s = minTokenLife_s }, at) => {
    if (audiences.has(audience)) {
      at.at("audience").duplicate(audience);
      return;
    }
    audiences.add(audience);
    const expiry = at.at("expirationSeconds");
    if (life_s < minTokenLife_s) expiry.invalid(life_s, "may not specify a duration less than 10 minutes");
    if (life_s > maxTokenLife_s) expiry.invalid(life_s, "may not specify a duration larger than 2^32 seconds");
  });
}

export const validateNodeDrivers = ({ spec }: CSINode): FieldError[] =>
  collect((root) => {
    const seen = new Set<string>();
    each(spec.drivers, root.at("spec", "drivers"), (driver, at) => {
      validateNodeDriver(driver, at);
      if (seen.has(driver.name)) at.at("name").duplicate(driver.name);
      seen.add(driver.name);
    });
  });

export const validateNodeDriversUpdate = (node: CSINode, old: Readonly<CSINode>): FieldError[] => [
  ...validateNodeDrivers(node),
  ...collect((root) => {
    const drivers = firstByKey(node.spec.drivers ?? [], ({ name }) => name);
    for (const before of old.spec.drivers ?? []) {
      const now = drivers.get(before.name);
      if (now === undefined || semanticEqual({ ...now, allocatable: 0 }, { ...before, allocatable: 0 })) continue;
      root.at("spec", "drivers").invalid({ ...now, allocatable: null }, "field is immutable");
    }
  }),
];

function validateNodeDriver({ name, nodeID, allocatable, topologyKeys }: CSINodeDriver, field: Field): void {
  validateCSIDriverName(name, field.at("name"));
  if (!nodeID) field.at("nodeID").required();
  if (nodeID && nodeID.length > maxNodeId) {
    field.at("nodeID").invalid(nodeID, `must be ${maxNodeId} characters or less`);
  }
  nonNegative(allocatable?.count, field.at("allocatable", "count"));
  const seen = new Set<string>();
  for (const key of topologyKeys ?? []) {
    if (key === "") field.required();
    if (seen.has(key)) field.duplicate(key);
    seen.add(key);
    field.invalidEach(key, isQualifiedName(key));
  }
}

export function driverWarnings({ spec }: CSIDriver, old: Readonly<CSIDriver> | undefined): string[] {
  const asksAnew = spec.tokenRequests?.length && !(old && semanticEqual(spec.tokenRequests, old.spec.tokenRequests));
  if (!asksAnew || spec.serviceAccountTokenInSecrets !== undefined) return [];
  return [
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes",
  ];
}
