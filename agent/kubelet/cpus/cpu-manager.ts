import { join } from "node:path";
import type { ContainerResources, ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import type { Refusal } from "../node/pod-admission.ts";
import { isRestartableInit, podUid } from "../pod-containers.ts";
import { milliOf, podQosClass, requestsOf } from "../pod-qos.ts";
import { type CpuSet, formatCpuSet, inOrder, together, without } from "./cpu-set.ts";
import { type CpuPolicy, keptCpus } from "./cpu-settings.ts";
import { checkCpuState, readCpuState, stateFile, writeCpuState } from "./cpu-state.ts";
import { type CpuTopology, readCpuTopology } from "./cpu-topology.ts";
import { TooFewCpus, takeCpus } from "./take-cpus.ts";

const policyName = "static";

export interface CpuManagerOptions {
  /** Where `cpu_manager_state` lies. */
  readonly folder: string;
  readonly policy: CpuPolicy;
  /** What is reserved of the board's CPU, thousandths. */
  readonly reserved_m: number;
  readonly runtime: Pick<ContainerRuntime, "listContainers" | "updateResources">;
  readonly log: Log;
  readonly topology?: CpuTopology | undefined;
}

/** The pod cannot have the CPUs that it asks for. */
class CpuError extends Error {
  override readonly name = "CpuError";
  constructor(readonly refusal: Refusal) {
    super(refusal.message);
  }
}

/**
 * Gives containers of guaranteed pods that ask for whole CPUs these CPUs to themselves, and has all others share the rest:
 * upstream's static policy. What was given out is in a file, and outlives the agent.
 */
export class CpuManager {
  readonly #options: CpuManagerOptions;
  readonly #topology: CpuTopology;
  readonly #reserved: CpuSet;
  #shared: CpuSet;
  readonly #exclusive = new Map<string, Map<string, CpuSet>>();
  /** CPUs that containers were last told to run on, by their ids. */
  readonly #applied = new Map<string, string>();
  #working: Promise<void> = Promise.resolve();

  private constructor(options: CpuManagerOptions, topology: CpuTopology, reserved: CpuSet) {
    this.#options = options;
    this.#topology = topology;
    this.#reserved = reserved;
    this.#shared = options.policy.keepsReserved ? without(this.#all, reserved) : this.#all;
  }

  /** Takes up what an earlier run has given out. Rejects with ConfigError, or CpuStateError where that fits no more. */
  static async open(options: CpuManagerOptions): Promise<CpuManager> {
    const topology = options.topology ?? readCpuTopology();
    const { keepsReserved } = options.policy;
    const kept = keptCpus(options.policy, options.reserved_m, topology);
    const all = new Set(topology.cpus.map(({ id }) => id));
    const reserved = typeof kept === "number" ? takeCpus(topology, all, kept) : kept;
    const manager = new CpuManager(options, topology, reserved);
    const state = await readCpuState(manager.#path, policyName);
    if (state && (state.shared.size > 0 || state.exclusive.size > 0)) {
      checkCpuState(state, { all, reserved, keepsReserved });
      manager.#shared = state.shared;
      for (const [uid, containers] of state.exclusive) manager.#exclusive.set(uid, new Map(containers));
    }
    await manager.#save();
    return manager;
  }

  /** Gives the pod's containers CPUs of their own where they are to have some; why that cannot be, in upstream's words. */
  allocate(pod: Pod): Refusal | undefined {
    const before = this.#exclusive.get(podUid(pod));
    try {
      this.#allocatePod(pod);
    } catch (error) {
      if (!before) this.release(podUid(pod));
      if (error instanceof CpuError) return error.refusal;
      if (!(error instanceof TooFewCpus)) throw error;
      const message = `Allocate failed due to ${error.message}, which is unexpected`;
      return { reason: "UnexpectedAdmissionError", message };
    }
    if (!before && this.#exclusive.has(podUid(pod))) this.#changed();
    return undefined;
  }

  /** The pod has ended, or does not run here. */
  release(uid: string): void {
    const own = this.#exclusive.get(uid);
    if (!own) return;
    this.#exclusive.delete(uid);
    this.#shared = together(this.#shared, ...own.values());
    this.#changed();
  }

  /** Takes back what pods have that this board does not know any more, and looks whether all run where they should. */
  async retain(isKnown: (uid: string) => boolean): Promise<void> {
    for (const uid of [...this.#exclusive.keys()]) if (!isKnown(uid)) this.release(uid);
    this.#reconcileLater();
    await this.#working;
  }

  /** Has any container of the pod CPUs of its own? */
  hasOwn(uid: string): boolean {
    return this.#exclusive.has(uid);
  }

  /** The CPUs that a container has to itself; none when it shares those of all. */
  own(uid: string, container: string): number[] {
    return inOrder(this.#exclusive.get(uid)?.get(container) ?? []);
  }

  /** Those that can be given out at all. */
  allocatable(): number[] {
    return inOrder(without(this.#all, this.#reserved));
  }

  /** The same limits on the CPUs that are the container's: it is not held to less time than these have. */
  held(resources: ContainerResources, uid: string, container: string): ContainerResources {
    const cpuset = this.#cpusetOf(uid, container);
    if (this.own(uid, container).length === 0) return { ...resources, cpuset };
    const { cpuQuota_us: _, cpuPeriod_us: __, ...rest } = resources;
    return { ...rest, cpuset };
  }

  /** A container was made to run on these CPUs. */
  created(id: string, { cpuset = "" }: ContainerResources): void {
    this.#applied.set(id, cpuset);
  }

  /** A container has been started: others may have been given some of its CPUs since it was made. */
  async started(id: string, uid: string, container: string): Promise<void> {
    await this.#apply(id, this.#cpusetOf(uid, container));
  }

  /** All that was given out is written, and containers run where they should. */
  async settled(): Promise<void> {
    await this.#working;
  }

  get #all(): CpuSet {
    return new Set(this.#topology.cpus.map(({ id }) => id));
  }

  get #path(): string {
    return join(this.#options.folder, stateFile);
  }

  #cpusetOf(uid: string, container: string): string {
    return formatCpuSet(this.#exclusive.get(uid)?.get(container) ?? this.#shared);
  }

  #allocatePod(pod: Pod): void {
    const uid = podUid(pod);
    /** Of init containers that have ended by then, for those that follow. */
    let reusable: CpuSet = new Set();
    for (const { container, leavesCpus } of inOrderOfStart(pod)) {
      const count = wholeCpus(pod, container);
      if (count === 0) continue;
      const given = this.#exclusive.get(uid)?.get(container.name) ?? this.#give(uid, container.name, count, reusable);
      reusable = leavesCpus ? together(reusable, given) : without(reusable, given);
    }
  }

  #give(uid: string, container: string, count: number, reusable: CpuSet): CpuSet {
    if (this.#options.policy.wholeCores) this.#refuseParts(count);
    const given = takeCpus(this.#topology, together(without(this.#shared, this.#reserved), reusable), count);
    this.#shared = without(this.#shared, given);
    const ofPod = this.#exclusive.get(uid) ?? new Map<string, CpuSet>();
    this.#exclusive.set(uid, ofPod.set(container, given));
    return given;
  }

  /** Throws CpuError where whole cores would not do. */
  #refuseParts(count: number): void {
    const { cpus, cpusPerCore } = this.#topology;
    const refuse = (why: string): never => {
      throw new CpuError({ reason: "SMTAlignmentError", message: `SMT Alignment Error: ${why}` });
    };
    if (count % cpusPerCore !== 0) refuse(`requested ${count} cpus not multiple cpus per core = ${cpusPerCore}`);
    const reservedCores = new Set(cpus.filter(({ id }) => this.#reserved.has(id)).map(({ core }) => core));
    const free = cpus.filter(({ id, core }) => this.#shared.has(id) && !reservedCores.has(core)).length;
    if (count > free)
      refuse(
        `not enough free physical CPUs: available physical CPUs = ${free}, requested CPUs = ${count}, CPUs per core = ${cpusPerCore}`,
      );
  }

  #changed(): void {
    this.#working = this.#working.then(() => this.#save());
    this.#reconcileLater();
  }

  async #save(): Promise<void> {
    try {
      await writeCpuState(this.#path, policyName, { shared: this.#shared, exclusive: this.#exclusive });
    } catch (error) {
      this.#options.log.error("who has which CPUs could not be written", { error });
    }
  }

  #reconcileLater(): void {
    this.#working = this.#working.then(() => this.#reconcile());
  }

  async #reconcile(): Promise<void> {
    const { runtime, log } = this.#options;
    try {
      const containers = await runtime.listContainers();
      const present = new Set(containers.map(({ id }) => id));
      for (const id of this.#applied.keys()) if (!present.has(id)) this.#applied.delete(id);
      for (const { id, state, pod, name } of containers)
        if (state === "running") await this.#apply(id, this.#cpusetOf(pod.uid, name));
    } catch (error) {
      log.warn("containers could not be told on which CPUs to run", { error });
    }
  }

  async #apply(id: string, cpuset: string): Promise<void> {
    if (this.#applied.get(id) === cpuset) return;
    try {
      await this.#options.runtime.updateResources(id, { cpuset });
      this.#applied.set(id, cpuset);
    } catch (error) {
      // It may have ended; the next look finds one that has not.
      this.#options.log.warn("a container could not be told on which CPUs to run", { container: id, error });
    }
  }
}

/** How many CPUs the container is to have to itself: those of a guaranteed pod that asks for whole ones. */
function wholeCpus(pod: Pod, container: Container): number {
  // What the pod states for itself as a whole is nobody's alone.
  if (pod.spec.resources?.requests || pod.spec.resources?.limits || podQosClass(pod) !== "Guaranteed") return 0;
  const request_m = milliOf(requestsOf(container), "cpu") || milliOf(container.resources?.limits, "cpu");
  return request_m % 1000 === 0 ? request_m / 1000 : 0;
}

function inOrderOfStart({ spec }: Pod): { container: Container; leavesCpus: boolean }[] {
  return [
    ...(spec.initContainers ?? []).map((container) => ({ container, leavesCpus: !isRestartableInit(container) })),
    ...spec.containers.map((container) => ({ container, leavesCpus: false })),
  ];
}
