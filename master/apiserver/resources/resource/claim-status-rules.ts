/** The status of ResourceClaims, which schedulers and drivers write (pkg/apis/resource/validation, and the storage's strategy). */
import type { FieldError } from "#shared/api/errors.ts";
import type {
  AllocatedDeviceStatus,
  AllocationResult,
  DeviceAllocationConfiguration,
  DeviceRequestAllocationResult,
  NetworkDeviceData,
  ResourceClaim,
} from "#shared/api/types/resource-v1.generated.ts";
import { validateCSIDriverName } from "../core/volume-sources.ts";
import { dropUnlessUsed } from "../gated-fields.ts";
import { validateInterfaceAddress } from "../validation/addresses.ts";
import { collect, type Field, immutable, requiredOneOf, semanticEqual } from "../validation/field.ts";
import { isDns1123Label } from "../validation/names.ts";
import { validateConditions } from "../validation/object-meta.ts";
import { validateNodeSelector } from "../validation/selectors.ts";
import {
  limited,
  limitedSet,
  namesOf,
  validateJsonObject,
  validateOpaque,
  validateReference,
  validateReferences,
} from "./claim-rules.ts";
import { validatePoolName } from "./slice-rules.ts";

const maxReservations = 256;
const maxResults = 32;
/** Of the class and of the claim. */
const maxConfigurations = 64;
const maxConditions = 8;
const maxData_bytes = 10 * 1024;
const maxInterfaceName_bytes = 256;
const maxHardwareAddress_bytes = 128;
const maxAddresses = 16;

const dropGatedResults = dropUnlessUsed<ResourceClaim>(
  (claim) => {
    for (const result of resultsOf(claim)) {
      delete result.shareID;
      delete result.consumedCapacity;
    }
    for (const device of claim.status?.devices ?? []) delete device.shareID;
  },
  (claim) => {
    for (const result of resultsOf(claim)) {
      delete result.bindingConditions;
      delete result.bindingFailureConditions;
    }
  },
);

/** Leaves out what stands behind gates that upstream keeps closed, and what is told of devices that are given back. */
export function prepareClaimStatus(draft: ResourceClaim, old: Readonly<ResourceClaim>): void {
  const { status } = draft;
  if (!status) return;
  dropGatedResults(draft, old);
  const allocated = new Set(resultsOf(draft).map(deviceKey));
  const givenBack = new Set(
    resultsOf(old)
      .map(deviceKey)
      .filter((key) => !allocated.has(key)),
  );
  status.devices = status.devices?.filter((device) => !givenBack.has(deviceKey(device)));
  if (!status.devices?.length) delete status.devices;
}

const resultsOf = ({ status }: Readonly<ResourceClaim>): readonly DeviceRequestAllocationResult[] =>
  status?.allocation?.devices?.results ?? [];

type DeviceName = Pick<DeviceRequestAllocationResult, "driver" | "pool" | "device">;

const deviceKey = ({ driver, pool, device }: DeviceName): string => JSON.stringify([driver, pool, device]);

/** As upstream shows it. */
const shownDevice = ({ driver, pool, device }: DeviceName): object => ({
  Driver: driver,
  Pool: pool,
  Device: device,
  ShareID: "",
});

export function validateClaimStatus(claim: ResourceClaim, old: Readonly<ResourceClaim>): FieldError[] {
  return collect((root) => {
    const field = root.at("status");
    const { allocation, devices, reservedFor = [] } = claim.status ?? {};
    validateReservations(claim, old, field.at("reservedFor"));
    const allocated = new Set(resultsOf(claim).map(deviceKey));
    const seen = new Set<string>();
    for (const [index, device] of (devices ?? []).entries()) {
      const at = field.at("devices").index(index);
      validateDevice(device, allocated, at);
      const key = deviceKey(device);
      if (seen.has(key)) at.duplicate(shownDevice(device));
      seen.add(key);
    }
    if (reservedFor.length > 0 && !allocation) {
      field.at("reservedFor").forbidden("may not be specified when `allocated` is not set");
    }
    if (!allocation) return;
    // What was allowed once is not judged by the rules of today.
    if (old.status?.allocation) immutable(allocation, old.status.allocation, field.at("allocation"));
    else validateAllocation(allocation, new Set((claim.spec.devices?.requests ?? []).flatMap(namesOf)), field);
  });
}

function validateReservations({ metadata, status }: ResourceClaim, old: Readonly<ResourceClaim>, field: Field): void {
  limitedSet(
    status?.reservedFor,
    maxReservations,
    field,
    ({ uid }) => uid,
    (consumer, at) => {
      for (const key of ["resource", "name", "uid"] as const) if (!consumer[key]) at.at(key).required();
    },
  );
  if (!metadata.deletionTimestamp || !status?.allocation) return;
  const before = old.status?.reservedFor ?? [];
  // No more are kept, and none is new beyond as many.
  const isNew = status.reservedFor
    ?.slice(0, maxReservations + 1)
    .some((consumer) => !before.some((each) => semanticEqual(each, consumer)));
  if (isNew) {
    field.forbidden("new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set");
  }
}

function validateDevice(device: AllocatedDeviceStatus, allocated: ReadonlySet<string>, field: Field): void {
  validateDeviceName(device, field);
  if (!allocated.has(deviceKey(device))) {
    field.invalid(shownDevice(device), "must be an allocated device in the claim");
  }
  const { conditions = [], data, networkData } = device;
  if (conditions.length > maxConditions) field.at("conditions").tooMany(conditions.length, maxConditions);
  validateConditions(conditions, field.at("conditions"));
  if (data !== undefined && data !== null) validateJsonObject(data, maxData_bytes, field.at("data"));
  if (networkData) validateNetwork(networkData, field.at("networkData"));
}

function validateDeviceName({ driver, pool, device }: DeviceName, field: Field): void {
  validateCSIDriverName(driver, field.at("driver"));
  validatePoolName(pool, field.at("pool"));
  field.at("device").invalidEach(device, isDns1123Label(device));
}

function validateNetwork({ interfaceName = "", hardwareAddress = "", ips }: NetworkDeviceData, field: Field): void {
  if (Buffer.byteLength(interfaceName) > maxInterfaceName_bytes) {
    field.at("interfaceName").tooLong(maxInterfaceName_bytes);
  }
  if (Buffer.byteLength(hardwareAddress) > maxHardwareAddress_bytes) {
    field.at("hardwareAddress").tooLong(maxHardwareAddress_bytes);
  }
  limitedSet(ips, maxAddresses, field.at("ips"), (address) => address, validateInterfaceAddress);
}

function validateAllocation(
  { devices, nodeSelector }: AllocationResult,
  names: ReadonlySet<string>,
  status: Field,
): void {
  const field = status.at("allocation");
  limited(devices?.results, maxResults, field.at("devices", "results"), (result, at) => {
    validateReference(result.request, names, at.at("request"));
    validateDeviceName(result, at);
  });
  limited(devices?.config, maxConfigurations, field.at("devices", "config"), (config, at) =>
    validateConfiguration(config, names, at),
  );
  if (nodeSelector) validateNodeSelector(nodeSelector, field.at("nodeSelector"));
}

function validateConfiguration(
  { source, requests, opaque }: DeviceAllocationConfiguration,
  names: ReadonlySet<string>,
  field: Field,
): void {
  requiredOneOf(source, ["FromClaim", "FromClass"], field.at("source"));
  validateReferences(requests, names, field.at("requests"));
  validateOpaque(opaque, field.at("opaque"));
}
