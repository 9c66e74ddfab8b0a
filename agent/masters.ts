import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { Informer } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { ifPresentSync } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { hostPort, outOfUrl } from "#shared/http/host-port.ts";

export interface MastersOptions {
  /** API servers as this board was told of them, `https://host:port`. */
  readonly configured: readonly string[];
  /** Brokers likewise, `mqtts://host:port`. */
  readonly brokers: readonly string[];
  readonly mqttPort: number;
  /** Where the list survives a reboot; a folder of this board's agent. */
  readonly folder: string;
  readonly ownAddresses: () => readonly string[];
  readonly log: Log;
}

/** What a board does with the masters that the cluster lists. */
export interface MasterPlan {
  /** To ask, in order of preference; the first that answers stays. */
  readonly servers: readonly string[];
  /** To keep a tunnel to, each once. */
  readonly tunnels: readonly string[];
  readonly brokers: readonly string[];
}

/**
 * Pure. What was found on the LAN comes before what the board was told, which did not answer. One master is reached as the
 * board was told, whatever address it has for itself. Of several, each is reached at the address that it lists, one on this
 * board by loopback if that is what the board was told; what the board was told is asked last, for it may be a name that leads
 * to any of them.
 */
export function planMasters(
  listed: readonly string[],
  { configured, brokers, mqttPort }: Pick<MastersOptions, "configured" | "brokers" | "mqttPort">,
  ownAddresses: readonly string[],
  found: readonly string[] = [],
): MasterPlan {
  const brokersOf = (servers: readonly string[]): string[] =>
    servers.map((server) => `mqtts://${new URL(server).hostname}:${mqttPort}`);
  if (listed.length < 2)
    return {
      servers: [...new Set([...found, ...configured])],
      // Several may be addresses of the one.
      tunnels: found.length > 0 ? found.slice(0, 1) : configured,
      brokers: [...new Set([...brokersOf(found), ...brokers])],
    };
  const local = configured.find((server) => isLoopback(new URL(server).hostname));
  const reached = listed.map((server) =>
    local !== undefined && ownAddresses.includes(outOfUrl(new URL(server).hostname)) ? local : server,
  );
  const others = brokersOf([...listed, ...found]);
  const first = local === undefined ? reached : [local, ...reached.filter((server) => server !== local)];
  return {
    servers: [...new Set([...first, ...found, ...configured])],
    tunnels: [...new Set(reached)],
    brokers: [...new Set(local === undefined ? [...others, ...brokers] : [...brokers, ...others])],
  };
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || outOfUrl(host) === "::1" || host.startsWith("127.");

/** The masters that this board knows. The cluster's own list, the EndpointSlice of the `kubernetes` Service, is kept on
 *  the disk, so that a board finds the others after a boot at which the one that it was told of is away. */
export class Masters {
  #plan: MasterPlan;
  readonly #options: MastersOptions;
  readonly #file: string;
  readonly #foundFile: string;
  #listed: readonly string[];
  #found: readonly string[];
  readonly #listeners = new Set<() => void>();

  constructor(options: MastersOptions) {
    this.#options = options;
    this.#file = join(options.folder, "masters.json");
    this.#listed = readList(this.#file);
    this.#foundFile = join(options.folder, foundMastersFile);
    this.#found = readList(this.#foundFile);
    this.#plan = this.#planned();
  }

  get plan(): MasterPlan {
    return this.#plan;
  }

  /** Servers that were found on the LAN because no other answered; kept until others are. */
  find(servers: readonly string[]): void {
    if (servers.join() === this.#found.join()) return;
    this.#found = servers;
    this.#replan(this.#foundFile, servers);
  }

  hasFound(server: string): boolean {
    return this.#found.includes(server);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Gives a function that ends it. */
  follow(slices: Informer<EndpointSlice>): () => void {
    return slices.addHandler(({ type, object }) => {
      const { name, namespace } = object.metadata;
      // A list that was taken away says nothing of the masters.
      if (type === "delete" || name !== "kubernetes" || namespace !== "default") return;
      this.#take(serversOf(object));
    });
  }

  #take(listed: readonly string[]): void {
    if (listed.length === 0 || listed.join() === this.#listed.join()) return;
    this.#listed = listed;
    this.#replan(this.#file, listed);
  }

  #planned(): MasterPlan {
    return planMasters(this.#listed, this.#options, this.#options.ownAddresses(), this.#found);
  }

  #replan(file: string, servers: readonly string[]): void {
    const before = this.#plan;
    this.#plan = this.#planned();
    writeSecureFile(file, `${JSON.stringify(servers)}\n`).catch((error: unknown) =>
      this.#options.log.warn("the list of masters could not be kept", { error }),
    );
    if (before.servers.join() === this.#plan.servers.join()) return;
    this.#options.log.info("masters", { servers: this.#plan.servers.join(",") });
    for (const listener of this.#listeners) listener();
  }
}

/** Of a board's agent folder: the servers that were found on the LAN. */
export const foundMastersFile = "found-masters.json";

/** In order of address: lists of the same masters are the same text. */
function serversOf({ endpoints, ports }: EndpointSlice): string[] {
  const port = ports?.find(({ name }) => name === "https")?.port ?? 6443;
  return endpoints
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses }) => addresses)
    .map((address) => `https://${hostPort(address, port)}`)
    .sort();
}

/** URLs that were kept in a file, as JSON; none where it is missing or broken. */
export function readList(file: string): string[] {
  const text = ifPresentSync(() => readFileSync(file, "utf8"));
  if (text === undefined) return [];
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list.filter((item) => typeof item === "string" && URL.canParse(item)) : [];
  } catch {
    // Half a file after a power cut: the cluster tells again.
    return [];
  }
}
