/** Chooses devices for claims on one node. All of it pure. */

import type { NodeSelector, NodeSelectorRequirement } from "#shared/api/types/core-v1.generated.ts";
import type {
  AllocationResult,
  DeviceAllocationConfiguration,
  DeviceClass,
  DeviceConstraint,
  DeviceRequest,
  DeviceRequestAllocationResult,
  DeviceSelector,
  ResourceClaim,
} from "#shared/api/types/resource-v1.generated.ts";
import { selects } from "./device-selector.ts";
import { type KnownDevice, keyOfKnown, type Pool } from "./pools.ts";

/** One way to satisfy a request: itself, or one of its alternatives. */
interface Alternative {
  /** `request`, or `request/alternative`. */
  readonly name: string;
  readonly request: string;
  readonly deviceClass: DeviceClass;
  readonly selectors: readonly DeviceSelector[];
  readonly wanted: number | "all";
  readonly adminAccess: boolean;
  /** 0: what was asked for first. */
  readonly rank: number;
}

export interface Allocation {
  readonly result: AllocationResult;
  /** How far down the lists of alternatives it had to go: less is better. */
  readonly rank: number;
}

export class AllocationError extends Error {
  override readonly name = "AllocationError";
}

/** Devices that one request may take; the API allows no more. */
const mostDevices = 32;
/** Steps of one search; what has more ways to be tried is given up, so that a decision stays short. */
const mostSteps = 20_000;

/**
 * An allocation for each claim out of the pools of a node, or undefined when they cannot all be had there. `taken` are devices
 * of other claims. Throws AllocationError for a claim that cannot be satisfied anywhere, CelError and the like for selectors.
 */
export function allocate(
  claims: readonly ResourceClaim[],
  pools: readonly Pool[],
  taken: ReadonlySet<string>,
  classOf: (name: string) => DeviceClass | undefined,
): Allocation[] | undefined {
  const requests = claims.flatMap((claim, index) =>
    (claim.spec.devices?.requests ?? []).map((request) => ({ index, alternatives: alternativesOf(request, classOf) })),
  );
  const search = new Search(claims, pools, taken, requests);
  const chosen = search.run();
  return (
    chosen &&
    claims.map((claim, index) =>
      allocationOf(
        claim,
        chosen.filter((choice) => choice.index === index),
      ),
    )
  );
}

function alternativesOf(request: DeviceRequest, classOf: (name: string) => DeviceClass | undefined): Alternative[] {
  const { name, exactly, firstAvailable = [] } = request;
  const options = exactly ? [{ ...exactly, name: "" }] : firstAvailable.map((one) => ({ ...one, adminAccess: false }));
  return options.map((option, rank) => {
    const deviceClass = classOf(option.deviceClassName);
    if (!deviceClass)
      throw new AllocationError(`request ${name}: device class ${option.deviceClassName} does not exist`);
    const wanted = option.allocationMode === "All" ? "all" : (option.count ?? 1);
    return {
      name: option.name === "" ? name : `${name}/${option.name}`,
      request: name,
      deviceClass,
      selectors: [...(deviceClass.spec.selectors ?? []), ...(option.selectors ?? [])],
      wanted,
      adminAccess: option.adminAccess ?? false,
      rank,
    };
  });
}

interface Choice {
  /** Of the claim. */
  readonly index: number;
  readonly alternative: Alternative;
  readonly devices: readonly KnownDevice[];
}

/** Tries alternatives and devices in order, and goes back where it gets stuck. */
class Search {
  readonly #choices: Choice[] = [];
  readonly #used = new Set<string>();
  readonly #matching = new Map<Alternative, readonly KnownDevice[] | undefined>();
  #steps = 0;

  constructor(
    readonly claims: readonly ResourceClaim[],
    readonly pools: readonly Pool[],
    readonly taken: ReadonlySet<string>,
    readonly requests: readonly { readonly index: number; readonly alternatives: readonly Alternative[] }[],
  ) {}

  run(): readonly Choice[] | undefined {
    return this.#request(0) ? this.#choices : undefined;
  }

  #request(at: number): boolean {
    const request = this.requests[at];
    if (!request) return true;
    for (const alternative of request.alternatives) {
      const matching = this.#devicesFor(alternative);
      if (!matching) continue;
      const wanted = alternative.wanted === "all" ? matching.length : alternative.wanted;
      if (wanted === 0 || wanted > Math.min(matching.length, mostDevices)) continue;
      if (this.#pick(at, alternative, matching, 0, wanted, [])) return true;
    }
    return false;
  }

  /** Takes `left` more of the devices from `from` on, then goes on with the next request. */
  #pick(
    at: number,
    alternative: Alternative,
    matching: readonly KnownDevice[],
    from: number,
    left: number,
    devices: readonly KnownDevice[],
  ): boolean {
    const index = this.requests[at]?.index ?? 0;
    if (left === 0) {
      this.#choices.push({ index, alternative, devices });
      if (this.#request(at + 1)) return true;
      this.#choices.pop();
      return false;
    }
    for (let position = from; position <= matching.length - left; position++) {
      if (++this.#steps > mostSteps) return false;
      const device = matching[position];
      if (!device) return false;
      const key = keyOfKnown(device);
      const isFree = alternative.adminAccess || (!this.taken.has(key) && !this.#used.has(key));
      if (isFree && this.#keepsConstraints(index, alternative, [...devices, device])) {
        if (!alternative.adminAccess) this.#used.add(key);
        if (this.#pick(at, alternative, matching, position + 1, left - 1, [...devices, device])) return true;
        if (!alternative.adminAccess) this.#used.delete(key);
      }
      // All means each of them: one that cannot be had cannot be passed over.
      if (alternative.wanted === "all") return false;
    }
    return false;
  }

  /** What the selectors let through; undefined when it cannot be known, because a pool is not complete yet. */
  #devicesFor(alternative: Alternative): readonly KnownDevice[] | undefined {
    if (this.#matching.has(alternative)) return this.#matching.get(alternative);
    const usable = alternative.wanted === "all" ? this.pools : this.pools.filter(({ isComplete }) => isComplete);
    const found = usable.every(({ isComplete }) => isComplete)
      ? usable.flatMap(({ devices }) => devices.filter((device) => selects(alternative.selectors, device.value())))
      : undefined;
    this.#matching.set(alternative, found);
    return found;
  }

  #keepsConstraints(index: number, alternative: Alternative, devices: readonly KnownDevice[]): boolean {
    const { constraints = [] } = this.claims[index]?.spec.devices ?? {};
    return constraints.every((constraint) => {
      const { matchAttribute } = constraint;
      if (matchAttribute === undefined) return true;
      const concerned = [
        ...this.#choices.filter((choice) => choice.index === index),
        { index, alternative, devices },
      ].flatMap((choice) => (concerns(constraint, choice.alternative) ? choice.devices : []));
      const values = concerned.map((device) => attributeText(device, matchAttribute));
      return values.every((value) => value !== undefined && value === values[0]);
    });
  }
}

const concerns = ({ requests = [] }: DeviceConstraint, { name, request }: Alternative): boolean =>
  requests.length === 0 || requests.includes(name) || requests.includes(request);

/** An attribute's value with its type, by its qualified name; undefined when the device lacks it. */
function attributeText({ device, driver }: KnownDevice, qualified: string): string | undefined {
  const { attributes = {} } = device;
  const [domain, name = ""] = qualified.split("/", 2);
  const found = attributes[qualified] ?? (domain === driver ? attributes[name] : undefined);
  return found && JSON.stringify(found);
}

function allocationOf(claim: ResourceClaim, choices: readonly Choice[]): Allocation {
  const results = choices.flatMap(({ alternative, devices }) =>
    devices.map(
      ({ driver, pool, device }): DeviceRequestAllocationResult => ({
        request: alternative.name,
        driver,
        pool,
        device: device.name,
        ...(alternative.adminAccess ? { adminAccess: true } : {}),
      }),
    ),
  );
  const config = configOf(claim, choices);
  const nodeSelector = selectorOf(choices.flatMap(({ devices }) => devices));
  return {
    result: {
      devices: { results, ...(config.length > 0 ? { config } : {}) },
      ...(nodeSelector ? { nodeSelector } : {}),
    },
    rank: choices.reduce((sum, { alternative }) => sum + alternative.rank, 0),
  };
}

/** Settings of the chosen classes, then those of the claim, as far as they are about what was chosen. */
function configOf({ spec }: ResourceClaim, choices: readonly Choice[]): DeviceAllocationConfiguration[] {
  const ofClasses = choices.flatMap(({ alternative: { name, deviceClass } }) =>
    (deviceClass.spec.config ?? []).map((config) => ({ source: "FromClass", requests: [name], ...config })),
  );
  const names = new Set(choices.flatMap(({ alternative: { name, request } }) => [name, request]));
  const ofClaim = (spec.devices?.config ?? [])
    .filter(({ requests = [] }) => requests.length === 0 || requests.some((name) => names.has(name)))
    .map((config) => ({ source: "FromClaim", ...config }));
  return [...ofClasses, ...ofClaim];
}

/** Where all the devices can be used; undefined: everywhere. */
function selectorOf(devices: readonly KnownDevice[]): NodeSelector | undefined {
  const requirements: NodeSelectorRequirement[] = [];
  for (const { nodeName, nodeSelector } of devices) {
    if (nodeName !== undefined) {
      const matchFields = [{ key: "metadata.name", operator: "In", values: [nodeName] }];
      return { nodeSelectorTerms: [{ matchFields }] };
    }
    // A slice's selector has one term; those of several devices hold together.
    for (const requirement of nodeSelector?.nodeSelectorTerms[0]?.matchExpressions ?? [])
      if (!requirements.some((one) => JSON.stringify(one) === JSON.stringify(requirement)))
        requirements.push(requirement);
  }
  return requirements.length > 0 ? { nodeSelectorTerms: [{ matchExpressions: requirements }] } : undefined;
}
