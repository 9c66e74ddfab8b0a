import { resourceClaims } from "#shared/api/resources.ts";
import { claimOfPod, isOwnedByPod, isReservedForPod } from "#shared/api/scheduling/pod-resource-claims.ts";
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { KeyedTasks } from "../keyed-tasks.ts";
import { podUid } from "../pod-containers.ts";
import type { ClaimRecord, ClaimRecords } from "./claim-record.ts";
import type { DraDrivers } from "./dra-drivers.ts";

/** What of a claim is known before any driver is asked. */
type WantedClaim = Pick<ClaimRecord, "namespace" | "name" | "uid"> & { readonly drivers: readonly string[] };

/**
 * Has drivers prepare the ResourceClaims of this board's pods, and undo that after the last pod of each (KEP-4381,
 * KEP-3063). What it does follows upstream's DRA manager, but that claims which the record knows need no API server.
 */
export class PreparedClaims {
  /** By namespace and name. */
  readonly #records = new Map<string, ClaimRecord>();
  /** Prepared in this run: a driver is asked again after a start of the board. */
  readonly #prepared = new Set<string>();
  readonly #tasks = new KeyedTasks();
  readonly #loaded: Promise<void>;

  constructor(
    readonly client: Client,
    readonly drivers: DraDrivers,
    readonly file: ClaimRecords,
    readonly log: Log,
  ) {
    this.#loaded = file.load().then((records) => {
      for (const record of records) this.#records.set(keyOf(record), record);
    });
  }

  /**
   * Prepares all claims of a pod. Idempotent. Rejects with Error, worded as upstream, where the pod may not use a claim,
   * a driver is not there or refuses; what was prepared by then stays until the pod ends.
   */
  async prepare(pod: Pod): Promise<void> {
    await this.#loaded;
    try {
      // All are looked at before any is taken: a pod that cannot have one owes drivers nothing.
      const wanted: WantedClaim[] = [];
      for (const { name, generated } of namedClaims(pod)) wanted.push(await this.#find(pod, name, generated));
      for (const claim of wanted) for (const driver of claim.drivers) this.drivers.get(driver);
      for (const claim of wanted) await this.#tasks.run(keyOf(claim), () => this.#prepare(claim, podUid(pod)));
    } catch (error) {
      throw new Error(`prepare dynamic resources: ${(error as Error).message}`, { cause: error });
    }
  }

  async #find(pod: Pod, name: string, generated: boolean): Promise<WantedClaim> {
    const { namespace = "", name: podName } = pod.metadata;
    const known = this.#records.get(keyOf({ namespace, name }));
    if (known?.podUids.includes(podUid(pod))) return { ...known, drivers: Object.keys(known.devices) };
    const claim = await this.client.get(resourceClaims, { namespace, name }).catch((error: Error) => {
      throw new Error(`fetch ResourceClaim ${name}: ${error.message}`, { cause: error });
    });
    const { uid = "" } = claim.metadata;
    if (generated && !isOwnedByPod(claim, pod))
      throw new Error(
        `ResourceClaim ${namespace}/${name} was not created for pod ${namespace}/${podName} (pod is not owner)`,
      );
    if (!isReservedForPod(claim, pod))
      throw new Error(`pod ${podName} (${podUid(pod)}) is not allowed to use ResourceClaim ${name} (${uid})`);
    const { allocation } = claim.status ?? {};
    if (!allocation) throw new Error(`ResourceClaim ${name}: not allocated`);
    const drivers = new Set((allocation.devices?.results ?? []).map(({ driver }) => driver));
    return { namespace, name, uid, drivers: [...drivers] };
  }

  async #prepare({ namespace, name, uid, drivers }: WantedClaim, podUid: string): Promise<void> {
    const key = keyOf({ namespace, name });
    const known = this.#records.get(key);
    if (known && known.uid !== uid)
      throw new Error(
        `old ResourceClaim with same name ${name} and different UID ${known.uid} still exists (previous pod force-deleted?!)`,
      );
    const podUids = new Set([...(known?.podUids ?? []), podUid]);
    const devices = known?.devices ?? Object.fromEntries(drivers.map((driver) => [driver, []]));
    const record: ClaimRecord = { namespace, name, uid, podUids: [...podUids], devices };
    if (known?.podUids.length !== podUids.size) {
      this.#records.set(key, record);
      await this.#save();
    }
    if (this.#prepared.has(key)) return;
    const given: Record<string, ClaimRecord["devices"][string]> = {};
    for (const driver of drivers) given[driver] = await this.drivers.get(driver).prepare({ namespace, name, uid });
    this.#prepared.add(key);
    this.#records.set(key, { ...record, devices: given });
    if (JSON.stringify(given) !== JSON.stringify(devices)) await this.#save();
  }

  /** Gives up the pod's claims. Rejects with Error when a driver is not there or refuses: it is to be asked again. */
  async unprepare(podUid: string): Promise<void> {
    await this.#loaded;
    const own = [...this.#records].filter(([, { podUids }]) => podUids.includes(podUid));
    try {
      for (const [key] of own) await this.#tasks.run(key, () => this.#unprepare(key, podUid));
    } catch (error) {
      throw new Error(`unprepare dynamic resources: ${(error as Error).message}`, { cause: error });
    }
  }

  async #unprepare(key: string, podUid: string): Promise<void> {
    const record = this.#records.get(key);
    if (!record?.podUids.includes(podUid)) return;
    const podUids = record.podUids.filter((each) => each !== podUid);
    if (podUids.length > 0) this.#records.set(key, { ...record, podUids });
    else {
      const { namespace, name, uid, devices } = record;
      for (const driver of Object.keys(devices)) await this.drivers.get(driver).unprepare({ namespace, name, uid });
      this.#prepared.delete(key);
      this.#records.delete(key);
    }
    await this.#save();
  }

  /** Gives up the claims of pods that this board does not know any more. */
  async retain(isKnown: (podUid: string) => boolean): Promise<void> {
    await this.#loaded;
    const uids = new Set([...this.#records.values()].flatMap(({ podUids }) => podUids));
    for (const uid of uids) {
      if (isKnown(uid)) continue;
      await this.unprepare(uid).catch((error: unknown) =>
        this.log.warn("the claims of a pod that is gone are still prepared", { uid, error }),
      );
    }
  }

  /** What the board has of those claims of a pod that go by these names in its spec. */
  preparedFor(pod: Pod, entries: ReadonlySet<string>): ClaimRecord[] {
    return namedClaims(pod).flatMap(({ entry, name }) => (entries.has(entry) ? (this.#recordOf(pod, name) ?? []) : []));
  }

  /** What the runtime is to give a container for its claims, by the names of CDI. Throws Error where one is not prepared. */
  cdiDevices(pod: Pod, container: Container): string[] {
    const names = new Map(namedClaims(pod).map(({ entry, name }) => [entry, name]));
    const devices = (container.resources?.claims ?? []).flatMap(({ name: entry, request }) => {
      const name = names.get(entry);
      if (name === undefined) return [];
      const record = this.#recordOf(pod, name);
      if (!record) throw new Error(`internal error: unable to get claim info for ResourceClaim ${name}`);
      return Object.values(record.devices)
        .flat()
        .filter(({ requestNames }) => !request || requestNames.length === 0 || requestNames.includes(request));
    });
    return [...new Set(devices.flatMap(({ cdiDeviceIds }) => cdiDeviceIds))];
  }

  #recordOf({ metadata: { namespace = "" } }: Pod, name: string): ClaimRecord | undefined {
    return this.#records.get(keyOf({ namespace, name }));
  }

  async #save(): Promise<void> {
    await this.file.save([...this.#records.values()]);
  }
}

const keyOf = ({ namespace, name }: Pick<ClaimRecord, "namespace" | "name">): string => `${namespace}/${name}`;

/** The pod's claims that have a name; throws Error for one that has yet to be made. */
function namedClaims(pod: Pod): { readonly entry: string; readonly name: string; readonly generated: boolean }[] {
  return (pod.spec.resourceClaims ?? []).flatMap((entry) => {
    const claim = claimOfPod(pod, entry);
    if (claim.kind === "to be made")
      throw new Error(`pod "${pod.metadata.namespace}/${pod.metadata.name}": ResourceClaim not created yet`);
    return claim.kind === "named" ? [{ entry: entry.name, name: claim.name, generated: claim.generated }] : [];
  });
}
