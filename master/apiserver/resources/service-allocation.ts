/**
 * Gives Services their cluster addresses and node ports, before they are validated (pkg/registry/core/service/storage
 * of upstream). What is taken is what visible Services hold and IPAddress objects keep, plus reservations for writes that
 * are not visible yet.
 */

import { internalError, invalid, type StatusError } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import { services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { FamilyNetwork } from "#shared/config/networks.ts";
import { familyOf, type IpFamily } from "#shared/net/ip-family.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission/admission.ts";
import type { ResourceReader } from "../registry/reader.ts";
import {
  hasNodePorts,
  isHeadless,
  needsClusterIP,
  needsHealthCheck,
  nodePortsOf,
  sameClusterIPs,
  sameFamilies,
  wantsNodePorts,
} from "./core/service/families.ts";
import { validateClusterIPs } from "./core/service/validate.ts";
import { FamilyPools, PoolFullError, PortPool, type Reservations } from "./service-pools.ts";
import { followForeignAddresses, followServiceCIDRs } from "./service-ranges.ts";
import type { SharedReservations } from "./shared-reservations.ts";
import { collect, type Field } from "./validation/field.ts";
import { firstByKey } from "./validation/first-by-key.ts";

export interface ServiceAllocationOptions {
  readonly reader: ResourceReader;
  /** One of each family that Services have, the default first; 10.43.0.0/16 alone if absent. ServiceCIDRs add to them. */
  readonly serviceRanges?: readonly FamilyNetwork[] | undefined;
  /** Default 30000 to 32767. */
  readonly nodePorts?: { readonly first: number; readonly last: number } | undefined;
  /** Where other API servers give out of the same ranges. */
  readonly shared?: SharedReservations | undefined;
}

/** How often another choice is made when other API servers made the same one. */
const SHARED_ATTEMPTS = 16;

/** Stands for Services that another API server is about to write: no name has a space. */
const elsewhere = "another API server";

const serviceKind = { group: "", kind: "Service" } as const;

function refuse(service: Service, report: (root: Field) => void): StatusError {
  return invalid(serviceKind, service.metadata.name ?? "", collect(report));
}

/** clusterIP and clusterIPs[0] are one value; a client that knows only the older field speaks for both. */
function normalizeClusterIPs({ spec }: Service, old: Readonly<Service> | undefined): void {
  const before = old?.spec;
  if (before === undefined) {
    if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
    return;
  }
  if (before.clusterIPs?.length && !spec.clusterIPs?.length && before.clusterIP === spec.clusterIP) {
    spec.clusterIPs = [...before.clusterIPs];
  }
  if (before.clusterIP === spec.clusterIP) return;
  const samePlural = sameClusterIPs({ spec } as Service, { spec: before } as Service);
  if (!samePlural) return;
  if (before.clusterIP && !spec.clusterIP) delete spec.clusterIPs;
  else if (spec.clusterIP) spec.clusterIPs = [spec.clusterIP];
}

/** An update that leaves allocated values out means them to stay. */
function keepAllocatedValues(draft: Service, old: Readonly<Service>): void {
  const { spec } = draft;
  if (needsClusterIP(old) && needsClusterIP(draft)) {
    if (!spec.clusterIP && old.spec.clusterIP) spec.clusterIP = old.spec.clusterIP;
    if (!spec.clusterIPs?.length && old.spec.clusterIPs?.length) spec.clusterIPs = [...old.spec.clusterIPs];
  }
  if (wantsNodePorts(old) && wantsNodePorts(draft)) {
    const oldPorts = new Set(nodePortsOf(old));
    const kept = new Set(nodePortsOf(draft).filter((port) => oldPorts.has(port)));
    const byName = new Map((old.spec.ports ?? []).map(({ name = "", nodePort }) => [name, nodePort]));
    for (const port of spec.ports ?? []) {
      const before = byName.get(port.name ?? "");
      if (!port.nodePort && before && !kept.has(before)) port.nodePort = before;
    }
  }
  if (needsHealthCheck(old) && needsHealthCheck(draft) && !spec.healthCheckNodePort && old.spec.healthCheckNodePort) {
    spec.healthCheckNodePort = old.spec.healthCheckNodePort;
  }
}

/** Reads like an admission plugin that runs last of the mutating ones: what it sets is then validated as given. */
export class ServiceAllocation implements AdmissionPlugin {
  readonly name = "ServiceAllocation";
  readonly #addresses: FamilyPools;
  readonly #ports: PortPool;
  readonly #shared: SharedReservations | undefined;

  constructor(options: ServiceAllocationOptions) {
    this.#shared = options.shared;
    const { reader, serviceRanges = [{ family: "IPv4", cidr: "10.43.0.0/16" }] } = options;
    this.#addresses = new FamilyPools(serviceRanges);
    followServiceCIDRs(reader, this.#addresses, serviceRanges);
    followForeignAddresses(reader, this.#addresses);
    const { first = 30_000, last = 32_767 } = options.nodePorts ?? {};
    this.#ports = new PortPool(first, last);
    for (const service of reader.list(services)) this.#observe(service, "ADDED");
    reader.onChange(services, (service, type) => this.#observe(service, type));
  }

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const { declaration, subresource, operation, object, oldObject, dryRun } = attributes;
    if (declaration.ref !== services || subresource) return;
    if (operation !== "CREATE" && operation !== "UPDATE") return;
    const service = object as Service;
    const old = operation === "UPDATE" ? (oldObject as Service | undefined) : undefined;
    if (old !== undefined) keepAllocatedValues(service, old);
    normalizeClusterIPs(service, old);
    this.#initFamilies(service, old);
    const wished = cloneJson(service.spec);
    for (let attempt = 1; ; attempt += 1) {
      const taken = await this.#allocate(service, old, dryRun);
      if (taken.length === 0) return;
      if (attempt === SHARED_ATTEMPTS) throw internalError("failed to allocate: other API servers were always first");
      service.spec = cloneJson(wished);
    }
  }

  /** Gives what other API servers hold of the choice; the next one avoids it, or refuses what was asked for by name. */
  async #allocate(service: Service, old: Readonly<Service> | undefined, dryRun: boolean): Promise<readonly string[]> {
    const held: Reservations = { owner: ownerOf(service), dryRun, addresses: [], ports: [] };
    try {
      this.#allocateAddresses(service, old, held);
      this.#allocatePorts(service, old, held);
      const items = [...held.addresses, ...held.ports];
      if (!this.#shared || dryRun || items.length === 0) return [];
      // Without a name yet, it is like no other: its reservation lapses.
      const owner = service.metadata.name ? held.owner : crypto.randomUUID();
      const taken = await this.#shared.reserve(owner, items);
      if (taken.length > 0) this.#leaveToOthers(held, taken);
      return taken;
    } catch (error) {
      this.#addresses.release(held);
      this.#ports.release(held);
      throw error;
    }
  }

  #leaveToOthers(held: Reservations, taken: readonly string[]): void {
    const addresses = taken.filter((item) => held.addresses.includes(item));
    const ports = taken.filter((item) => held.ports.includes(item));
    this.#addresses.release(held);
    this.#ports.release(held);
    const others: Reservations = { owner: elsewhere, dryRun: false, addresses: [], ports: [] };
    for (const address of addresses) this.#addresses.take(familyOf(address), address, others);
    for (const port of ports) this.#ports.take(port, others);
  }

  #observe(service: Service, type: "ADDED" | "MODIFIED" | "DELETED"): void {
    const gone = type === "DELETED";
    const addresses = gone || !needsClusterIP(service) || isHeadless(service) ? [] : (service.spec.clusterIPs ?? []);
    const health = service.spec.healthCheckNodePort;
    const ports = gone ? [] : [...nodePortsOf(service), ...(health ? [health] : [])];
    this.#addresses.settle(ownerOf(service), addresses);
    this.#ports.settle(ownerOf(service), ports.map(String));
    this.#shared?.settle(ownerOf(service));
  }

  /** Which families a Service has: the cluster's first, unless it says otherwise (KEP-563). */
  #initFamilies(service: Service, old: Readonly<Service> | undefined): void {
    const { spec } = service;
    if (spec.type === "ExternalName") return;
    if (old && isUnchangedPreference(service, old)) return;
    const isBare = spec.clusterIP === "None" && Object.keys(spec.selector ?? {}).length === 0;
    spec.ipFamilyPolicy ??= old?.spec.ipFamilyPolicy ?? (isBare ? "RequireDualStack" : "SingleStack");
    const errors = collect((root) => {
      const { errors: found, field } = root.at("spec").apart();
      validateClusterIPs(service, old, field);
      if (found.length === 0) this.#inferFamilies(service, old, field);
      // What the cluster has is of no interest where they contradict each other.
      if (found.length === 0 && !isBare) this.#judgeFamilies(service, field);
      root.addAll(found);
    });
    if (errors.length > 0) throw invalid(serviceKind, service.metadata.name ?? "", errors);
    const { families } = this.#addresses;
    const [first = families[0] ?? "IPv4", ...others] = spec.ipFamilies ?? [];
    spec.ipFamilies = [first, ...others];
    if (others.length > 0 || spec.ipFamilyPolicy === "SingleStack") return;
    const second = first === "IPv4" ? "IPv6" : "IPv4";
    // Endpoints that somebody else writes may be of a family that the cluster has not.
    if (isBare || families.includes(second)) spec.ipFamilies.push(second);
  }

  #inferFamilies({ spec }: Service, old: Readonly<Service> | undefined, field: Field): void {
    const { families } = this.#addresses;
    if (spec.ipFamilyPolicy === "SingleStack") judgeSingleStack(spec, old, field.at("ipFamilyPolicy"));
    for (const [index, address] of (spec.clusterIPs ?? []).entries()) {
      if (address === "None") break;
      if (index < (spec.ipFamilies?.length ?? 0)) continue;
      const family = familyOf(address);
      if (families.includes(family)) spec.ipFamilies = [...(spec.ipFamilies ?? []), family];
      else field.at("clusterIPs").index(index).invalid(spec.clusterIPs, `${family} is not configured on this cluster`);
    }
  }

  #judgeFamilies({ spec }: Service, field: Field): void {
    const { families } = this.#addresses;
    if (spec.ipFamilyPolicy === "RequireDualStack" && families.length < 2) {
      field.at("ipFamilyPolicy").invalid(spec.ipFamilyPolicy, "this cluster is not configured for dual-stack services");
    }
    for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
      if (!families.some((each) => each === family))
        field.at("ipFamilies").index(index).invalid(family, "not configured on this cluster");
    }
  }

  #allocateAddresses(service: Service, old: Readonly<Service> | undefined, held: Reservations): void {
    const { spec } = service;
    if (spec.type === "ExternalName" || spec.clusterIPs?.[0] === "None") return;
    const kept = old && needsClusterIP(old) ? (old.spec.clusterIPs ?? []) : [];
    const addresses = [...(spec.clusterIPs ?? [])];
    for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
      // An address once given stays; validation says so to who would change it.
      if (kept[index]) continue;
      addresses[index] = this.#takeAddress(service, family as IpFamily, addresses[index] ?? "", held);
      if (index === 0) spec.clusterIP = addresses[0];
      spec.clusterIPs = addresses;
    }
  }

  #takeAddress(service: Service, family: IpFamily, wanted: string, held: Reservations): string {
    try {
      return this.#addresses.take(family, wanted, held);
    } catch (error) {
      const why = messageOf(error);
      if (error instanceof PoolFullError) throw internalError(`failed to allocate a serviceIP: ${why}`, error);
      const which = wanted === "" ? "failed to allocate IP" : `failed to allocate IP ${wanted}`;
      throw refuse(service, (root) =>
        root.at("spec", "clusterIPs").invalid(service.spec.clusterIPs, `${which}: ${why}`),
      );
    }
  }

  #allocatePorts(service: Service, old: Readonly<Service> | undefined, held: Reservations): void {
    if (hasNodePorts(service)) this.#allocateNodePorts(service, old, held);
    if (!needsHealthCheck(service) || (old && needsHealthCheck(old))) return;
    const wanted = service.spec.healthCheckNodePort;
    if (!wanted) service.spec.healthCheckNodePort = this.#nextPort(held, "a HealthCheck NodePort 0");
    else {
      try {
        this.#ports.take(String(wanted), held);
      } catch (error) {
        const why = messageOf(error);
        throw internalError(`failed to allocate requested HealthCheck NodePort ${wanted}: ${why}`, error);
      }
    }
  }

  #allocateNodePorts(service: Service, old: Readonly<Service> | undefined, held: Reservations): void {
    const before = new Set(old ? nodePortsOf(old) : []);
    // Ports of one number, TCP and UDP, share a node port unless told otherwise.
    const asked = firstByKey(
      (service.spec.ports ?? []).filter(({ nodePort }) => nodePort).map((port) => ({ ...port })),
      ({ port }) => port,
    );
    const chosen = new Map<number, number>();
    for (const [index, port] of (service.spec.ports ?? []).entries()) {
      if (!port.nodePort && !wantsNodePorts(service)) continue;
      const known = port.nodePort || (old ? undefined : (chosen.get(port.port) ?? asked.get(port.port)?.nodePort));
      const place = (root: Field): Field => root.at("spec", "ports").index(index).at("nodePort");
      port.nodePort = known ?? this.#nextPort(held, "a nodePort");
      if (known !== undefined && !before.has(known) && !held.ports.includes(String(known)))
        this.#takePort(service, known, place, held);
      if (!chosen.has(port.port)) chosen.set(port.port, port.nodePort);
    }
  }

  #nextPort(held: Reservations, what: string): number {
    try {
      return Number(this.#ports.takeNext(held));
    } catch (error) {
      const why = messageOf(error);
      throw internalError(`failed to allocate ${what}: ${why}`, error);
    }
  }

  #takePort(service: Service, port: number, place: (root: Field) => Field, held: Reservations): void {
    try {
      this.#ports.take(String(port), held);
    } catch (error) {
      const why = messageOf(error);
      throw refuse(service, (root) => place(root).invalid(port, why));
    }
  }
}

const ownerOf = ({ metadata }: Readonly<Service>): string => `${metadata.namespace ?? ""}/${metadata.name ?? ""}`;

/** One family only: what an update took over from two goes, what it says itself is refused. */
function judgeSingleStack(spec: Service["spec"], old: Readonly<Service> | undefined, policy: Field): void {
  if (old && sameClusterIPs({ spec } as Service, old)) spec.clusterIPs = spec.clusterIPs?.slice(0, 1);
  if (old && sameFamilies({ spec } as Service, old)) spec.ipFamilies = spec.ipFamilies?.slice(0, 1);
  const multiple = "must be 'RequireDualStack' or 'PreferDualStack' when multiple";
  if (spec.clusterIPs?.length === 2) policy.invalid(spec.ipFamilyPolicy, `${multiple} cluster IPs are specified`);
  if (spec.ipFamilies?.length === 2) policy.invalid(spec.ipFamilyPolicy, `${multiple} IP families are specified`);
}

function isUnchangedPreference(service: Service, old: Readonly<Service>): boolean {
  const policy = service.spec.ipFamilyPolicy;
  const oldPolicy = old.spec.ipFamilyPolicy;
  return (
    policy === "PreferDualStack" &&
    service.spec.type === old.spec.type &&
    needsClusterIP(service) &&
    (oldPolicy === undefined || oldPolicy === "PreferDualStack") &&
    sameClusterIPs(service, old) &&
    sameFamilies(service, old)
  );
}
