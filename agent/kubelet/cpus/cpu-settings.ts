import { ConfigError, type ValuesOf } from "#shared/config/option.ts";
import type { placementOptions } from "#shared/config/placement-options.ts";
import type { Reserved } from "../node/node-status.ts";
import { type CpuSet, formatCpuSet, parseCpuSet, without } from "./cpu-set.ts";
import { type CpuTopology, numaNodes, readCpuTopology } from "./cpu-topology.ts";

export type PlacementSettings = ValuesOf<typeof placementOptions>;

/** How whole CPUs are given to containers of guaranteed pods. */
export interface CpuPolicy {
  /** Only whole cores, where a core has several CPUs. */
  readonly wholeCores: boolean;
  /** Nobody runs on what is reserved, not even what shares the rest. */
  readonly keepsReserved: boolean;
  /** Which are reserved; undefined: so many as are reserved of the board's time, the first. */
  readonly reserved: CpuSet | undefined;
}

/** What a board was told of where containers run. */
export interface Placement {
  /** Undefined: no container has CPUs of its own. */
  readonly cpus: CpuPolicy | undefined;
  /** Are guaranteed pods' CPUs and memory fixed while they run? */
  readonly fixed: { readonly cpu: boolean; readonly memory: boolean };
  readonly shown: Pick<
    PlacementSettings,
    "cpuManagerPolicy" | "memoryManagerPolicy" | "topologyManagerPolicy" | "topologyManagerScope" | "reservedCpus"
  >;
}

const stable = ["full-pcpus-only", "strict-cpu-reservation"];
/** On a board with one NUMA node and one last-level cache these change nothing. */
const trivial = ["distribute-cpus-across-numa", "prefer-align-cpus-by-uncorecache"];
const alpha = ["align-by-socket", "distribute-cpus-across-cores"];

/** Throws ConfigError, in upstream's words where it would refuse too. */
export function placementOf(settings: PlacementSettings, root = "/"): Placement {
  const { cpuManagerPolicy, memoryManagerPolicy, topologyManagerPolicy, topologyManagerScope, reservedCpus } = settings;
  const nodes = numaNodes(root);
  const needsOneNode = (option: string, isAsked: boolean): void => {
    if (isAsked && nodes > 1)
      throw new ConfigError(`${option}: this board has ${nodes} NUMA nodes: only boards with one are known here`);
  };
  needsOneNode("topology-manager-policy", topologyManagerPolicy !== "none");
  needsOneNode("memory-manager-policy", memoryManagerPolicy !== "None");
  const chosen = new Map(settings.cpuManagerPolicyOptions.map((text) => policyOption(text)));
  for (const name of trivial) needsOneNode(`cpu-manager-policy-options: ${name}`, chosen.get(name) ?? false);
  const isStatic = cpuManagerPolicy === "static";
  if (!isStatic && chosen.size > 0)
    throw new ConfigError("cpu-manager-policy-options: None policy: received unsupported options");
  const reserved = reservedSet(settings, root);
  return {
    cpus: isStatic
      ? {
          wholeCores: chosen.get("full-pcpus-only") ?? false,
          keepsReserved: chosen.get("strict-cpu-reservation") ?? false,
          reserved,
        }
      : undefined,
    fixed: { cpu: isStatic, memory: memoryManagerPolicy === "Static" },
    shown: { cpuManagerPolicy, memoryManagerPolicy, topologyManagerPolicy, topologyManagerScope, reservedCpus },
  };
}

/** What is reserved, where CPUs by number are: they stand for all of the time that is. */
export function withReservedCpus(
  reserved: Reserved,
  { reservedCpus }: Pick<PlacementSettings, "reservedCpus">,
): Reserved {
  return reservedCpus === "" ? reserved : { ...reserved, cpu_m: parsed(reservedCpus).size * 1000 };
}

function policyOption(text: string): [string, boolean] {
  const [, name = "", value] = /^([^=]+)=(.*)$/.exec(text) ?? [];
  if (![...stable, ...trivial, ...alpha].includes(name))
    throw new ConfigError(
      `cpu-manager-policy-options: unknown CPU Manager Policy option: ${JSON.stringify(name || text)}`,
    );
  if (alpha.includes(name))
    throw new ConfigError(
      `cpu-manager-policy-options: CPU Manager Policy Alpha-level Options not enabled, but option ${JSON.stringify(name)} provided`,
    );
  if (value !== "true" && value !== "false")
    throw new ConfigError(
      `cpu-manager-policy-options: bad value for option ${JSON.stringify(name)}: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
    );
  return [name, value === "true"];
}

function reservedSet({ reservedCpus }: PlacementSettings, root: string): CpuSet | undefined {
  if (reservedCpus === "") return undefined;
  const reserved = parsed(reservedCpus);
  const online = new Set(readCpuTopology(root).cpus.map(({ id }) => id));
  if (without(reserved, online).size > 0)
    throw new ConfigError(
      `reserved-cpus: cpuset ${formatCpuSet(reserved)} is not a subset of online cpus ${formatCpuSet(online)}`,
    );
  return reserved;
}

function parsed(text: string): CpuSet {
  try {
    return parseCpuSet(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ConfigError(
      `reserved-cpus: unable to parse reservedSystemCPUs (--reserved-cpus) ${text}, error: ${error.message}`,
    );
  }
}

/** The CPUs that are kept from containers of their own. Throws ConfigError where there must be some and are none. */
export function keptCpus({ reserved }: CpuPolicy, cpu_m: number, topology: CpuTopology): CpuSet | number {
  if (cpu_m <= 0)
    throw new ConfigError(
      "cpu-manager-policy: [cpumanager] the static policy requires systemreserved.cpu + kubereserved.cpu to be greater than zero",
    );
  const count = Math.ceil(cpu_m / 1000);
  if (reserved) return reserved;
  if (count > topology.cpus.length)
    throw new ConfigError(
      `cpu-manager-policy: [cpumanager] unable to reserve the required amount of CPUs (size of ${topology.cpus.length} did not equal ${count})`,
    );
  return count;
}
