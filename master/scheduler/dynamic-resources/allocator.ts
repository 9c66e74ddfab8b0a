/** Chooses devices for claims on one node. All of it pure. */

import { keyOf } from "#shared/api/object.ts";
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
import { CostExceeded } from "#shared/cel/frame.ts";
import { CompileError } from "#shared/cel/program.ts";
import { CelError } from "#shared/cel/values.ts";
import { selects } from "./device-selector.ts";
import { type KnownDevice, keyOfKnown, type Pool } from "./pools.ts";

/** A selector and where it stands, as errors tell it. */
interface NamedSelector {
  readonly name: string;
  readonly selector: DeviceSelector;
}

/** One way to satisfy a request: itself, or one of its alternatives. */
interface Alternative {
  /** `request`, or `request/alternative`. */
  readonly name: string;
  readonly request: string;
  readonly deviceClass: DeviceClass;
  readonly selectors: readonly NamedSelector[];
  readonly wanted: number | "all";
  readonly adminAccess: boolean;
  /** The more the earlier it stands among the alternatives; 0 where there are none. */
  readonly score: number;
}

export interface Allocation {
  readonly result: AllocationResult;
  /** Of the alternatives that it came to: more is better. */
  readonly score: number;
}

export class AllocationError extends Error {
  override readonly name = "AllocationError";
}

/** Why nothing was found on this node, where that is not for want of devices. */
export class FailedOnNode extends Error {
  override readonly name = "FailedOnNode";
}

/** Of one request; the API allows no more. */
const mostAlternatives = 8;
/** Devices that one request may take; the API allows no more. */
const mostDevices = 32;
/** Steps of one search; what has more ways to be tried is given up, so that a decision stays short. */
const mostSteps = 20_000;

/**
 * An allocation for each claim out of the pools of a node, or undefined when they cannot all be had there. `taken` are devices
 * of other claims. Throws AllocationError for a fault of a claim, a class or a pool, and FailedOnNode.
 */
export function allocate(
  claims: readonly ResourceClaim[],
  pools: readonly Pool[],
  taken: ReadonlySet<string>,
  classOf: (name: string) => DeviceClass | undefined,
): Allocation[] | undefined {
  const requests = claims.flatMap((claim, index) =>
    (claim.spec.devices?.requests ?? []).map((request) => ({
      index,
      alternatives: alternativesOf(keyOf(claim), request, classOf),
    })),
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

function alternativesOf(
  claim: string,
  request: DeviceRequest,
  classOf: (name: string) => DeviceClass | undefined,
): Alternative[] {
  const named = (owner: string, selectors: readonly DeviceSelector[] = []): NamedSelector[] =>
    selectors.map((selector, index) => ({ name: `${owner}: selector #${index}`, selector }));
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
      selectors: [
        ...named(`class ${option.deviceClassName}`, deviceClass.spec.selectors),
        ...named(`claim ${claim}`, option.selectors),
      ],
      wanted,
      adminAccess: option.adminAccess ?? false,
      score: exactly ? 0 : mostAlternatives - rank,
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
  readonly #answers = new Map<Alternative, Map<KnownDevice, boolean>>();
  #steps = 0;

  constructor(
    readonly claims: readonly ResourceClaim[],
    readonly pools: readonly Pool[],
    readonly taken: ReadonlySet<string>,
    readonly requests: readonly { readonly index: number; readonly alternatives: readonly Alternative[] }[],
  ) {}

  run(): readonly Choice[] | undefined {
    if (this.#request(0)) return this.#choices;
    if (this.#steps > mostSteps) throw new FailedOnNode("timed out trying to allocate devices");
    // Others might have served the claims, so that it was no fault before.
    if (this.pools.some(({ isInvalid }) => isInvalid))
      throw new FailedOnNode("invalid resource pools were encountered");
    return undefined;
  }

  #request(at: number): boolean {
    const request = this.requests[at];
    if (!request) return true;
    for (const alternative of request.alternatives) {
      const candidates = this.#devicesFor(request.index, alternative);
      const wanted = alternative.wanted === "all" ? candidates.length : alternative.wanted;
      if (wanted === 0 || wanted > Math.min(candidates.length, mostDevices)) continue;
      if (this.#pick(at, alternative, candidates, 0, wanted, [])) return true;
    }
    return false;
  }

  /** Takes `left` more of the devices from `from` on, then goes on with the next request. */
  #pick(
    at: number,
    alternative: Alternative,
    candidates: readonly KnownDevice[],
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
    for (let position = from; position <= candidates.length - left; position++) {
      const device = candidates[position];
      if (!device) return false;
      const isWanted = this.#isFree(alternative, device) && this.#lets(alternative, device);
      if (isWanted && ++this.#steps > mostSteps) return false;
      if (isWanted && this.#keepsConstraints(index, alternative, [...devices, device])) {
        const goesOn = (): boolean =>
          this.#pick(at, alternative, candidates, position + 1, left - 1, [...devices, device]);
        if (this.#using(alternative, device, goesOn)) return true;
      }
      // All means each of them: one that cannot be had cannot be passed over.
      if (alternative.wanted === "all") return false;
    }
    return false;
  }

  #isFree({ adminAccess }: Alternative, device: KnownDevice): boolean {
    const key = keyOfKnown(device);
    return adminAccess || (!this.taken.has(key) && !this.#used.has(key));
  }

  /** With the device in use; free again where that leads nowhere. */
  #using({ adminAccess }: Alternative, device: KnownDevice, goesOn: () => boolean): boolean {
    if (adminAccess) return goesOn();
    const key = keyOfKnown(device);
    this.#used.add(key);
    const isDone = goesOn();
    if (!isDone) this.#used.delete(key);
    return isDone;
  }

  /** Devices to look at; where all are wanted, those that the selectors let through. Throws AllocationError where all are
   *  wanted and a pool is not complete yet, or invalid. */
  #devicesFor(index: number, alternative: Alternative): readonly KnownDevice[] {
    const isSound = ({ isComplete, isInvalid }: Pool): boolean => isComplete && !isInvalid;
    const devices = this.pools.filter(isSound).flatMap((pool) => pool.devices);
    if (alternative.wanted !== "all") return devices;
    const unsound = this.pools.find((pool) => !isSound(pool));
    const claim = this.claims[index];
    if (unsound && claim)
      throw new AllocationError(
        `claim ${keyOf(claim)}, request ${alternative.name}: asks for all devices, but resource pool ${unsound.key} is currently ${unsound.isComplete ? "invalid" : "being updated"}`,
      );
    return devices.filter((device) => this.#lets(alternative, device));
  }

  /** Selectors are asked of a device when it is looked at: one that goes wrong on another device does no harm. */
  #lets(alternative: Alternative, device: KnownDevice): boolean {
    const known = this.#answers.get(alternative) ?? new Map<KnownDevice, boolean>();
    this.#answers.set(alternative, known);
    const answer = known.get(device) ?? lets(alternative.selectors, device);
    known.set(device, answer);
    return answer;
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

/** Whether all selectors hold for the device. One that goes wrong is said, not passed over. */
const lets = (selectors: readonly NamedSelector[], device: KnownDevice): boolean =>
  selectors.every(({ name, selector }) => {
    try {
      return selects([selector], device.value());
    } catch (error) {
      if (error instanceof CompileError) throw new AllocationError(`${name}: CEL compile error: ${error.message}`);
      if (error instanceof CelError || error instanceof CostExceeded)
        throw new AllocationError(`${name}: CEL runtime error: ${error.message}`);
      throw error;
    }
  });

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
    score: choices.reduce((sum, { alternative }) => sum + alternative.score, 0),
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
