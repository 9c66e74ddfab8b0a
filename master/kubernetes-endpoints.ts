/**
 * Where the `kubernetes` Service leads when there are several API servers. Each keeps a Lease that says that it serves and
 * at which address (KEP-1965), looks whether the others take connections, and writes the endpoints when its view of who
 * serves differs from them: so the list is right whichever of them are left. A single master writes its endpoints once, at its
 * start, and keeps no Lease.
 */

import { createHash } from "node:crypto";
import { connect } from "node:net";
import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import { endpointSlices, leases } from "#shared/api/resources.ts";
import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type Clock, microTimestamp, pause, systemClock } from "#shared/client/clock.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { ensureMasterEndpoints } from "./bootstrap-objects.ts";

export interface KubernetesEndpointsOptions {
  readonly client: Client;
  /** Of this API server. */
  readonly address: string;
  readonly httpsPort: number;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  /** Does another API server take connections? */
  readonly answers?: ((address: string, port: number) => Promise<boolean>) | undefined;
}

const namespace = "kube-system";
const identityLabel = "apiserver.kubernetes.io/identity";
const identityValue = "kube-apiserver";
const addressAnnotation = "bramble.dev/advertise-address";

/** How often the others are looked at. It costs them a connection and the disk nothing. */
const lookEvery_ms = 5_000;
const answer_ms = 2_000;
/** Each renewal is a write to the disk of every member of etcd. */
const renewEvery_ms = 60_000;
/** An API server whose Lease stands still for so long does not serve, whatever answers at its address. */
const silentFor_ms = 150_000;
/** So many looks in a row without an answer, and no sign of life in its Lease since the first: it is gone. */
const missedLooks = 2;

/** The address of each Lease, and how long it has stood unchanged by this board's own clock: boards' clocks disagree. */
interface Observed {
  readonly renewed: string;
  readonly at_ms: number;
  /** Looks in a row that found nobody, with the Lease as it is. One that renews it after such a look lives, and only this
   *  master does not reach it: it is not judged by looks until it answers one. */
  readonly missed: number | "reachable by others";
}

/** What the API server at an address is called. */
export const serverIdentity = (address: string): string =>
  `apiserver-${createHash("sha256").update(address).digest("hex").slice(0, 26)}`;

export class KubernetesEndpoints {
  readonly #options: KubernetesEndpointsOptions;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #observed = new Map<string, Observed>();
  #renewed_ms = Number.NEGATIVE_INFINITY;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: KubernetesEndpointsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#name = serverIdentity(options.address);
  }

  /** Resolves once this API server is listed. */
  async start(): Promise<void> {
    await this.#round();
    this.#running = this.#keep();
  }

  async #keep(): Promise<void> {
    const trouble = new StandingTrouble(this.#options.log, {
      wrong: "the masters' endpoints could not be kept",
      over: "the masters' endpoints are kept again",
    });
    while (!this.#stop.signal.aborted) {
      await pause(this.#clock, lookEvery_ms, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      await this.#round().then(
        () => trouble.end(),
        (error: unknown) => trouble.tell(error),
      );
    }
  }

  async #round(): Promise<void> {
    const { address } = this.#options;
    // Not being listed, it must show that it lives.
    const isListed = (await this.#listed())?.includes(address) ?? false;
    if (!isListed || this.#clock.now_ms() - this.#renewed_ms >= renewEvery_ms) await this.#renew();
    await this.#write(await this.#serving());
  }

  async #renew(): Promise<void> {
    const { client } = this.#options;
    try {
      const present = await client.get(leases, { namespace, name: this.#name });
      await client.update(leases, { ...present, spec: { ...present.spec, renewTime: microTimestamp(this.#clock) } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await client.create(leases, this.#lease());
    }
    this.#renewed_ms = this.#clock.now_ms();
  }

  #lease(): Lease {
    const { address } = this.#options;
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name: this.#name,
        namespace,
        labels: { [identityLabel]: identityValue },
        annotations: { [addressAnnotation]: address },
      },
      spec: {
        holderIdentity: `${this.#name}_${crypto.randomUUID()}`,
        leaseDurationSeconds: Math.ceil(silentFor_ms / 1000),
        renewTime: microTimestamp(this.#clock),
      },
    };
  }

  /** Addresses of the API servers whose Leases move and who answer, this one among them. */
  async #serving(): Promise<string[]> {
    const { items } = await this.#options.client.list(leases, {
      namespace,
      labelSelector: `${identityLabel}=${identityValue}`,
    });
    const others = items.filter(({ metadata }) => metadata.name !== this.#name);
    const judged = await Promise.all(others.map((lease) => this.#judge(lease)));
    const names = new Set(others.map(({ metadata }) => metadata.name));
    for (const name of this.#observed.keys()) if (!names.has(name)) this.#observed.delete(name);
    const addresses = judged.filter((address) => address !== undefined);
    return [...new Set([this.#options.address, ...addresses])].sort();
  }

  /** The address, if it serves. */
  async #judge({ metadata, spec }: Lease): Promise<string | undefined> {
    const { name = "", annotations } = metadata;
    const address = annotations?.[addressAnnotation];
    if (address === undefined) return undefined;
    const { answers = takesConnections, httpsPort } = this.#options;
    const hasAnswered = await answers(address, httpsPort);
    const now_ms = this.#clock.now_ms();
    const seen = observe(this.#observed.get(name), { renewed: spec?.renewTime ?? "", now_ms, hasAnswered });
    this.#observed.set(name, seen);
    const isGone = seen.missed !== "reachable by others" && seen.missed >= missedLooks;
    return isGone || now_ms - seen.at_ms >= silentFor_ms ? undefined : address;
  }

  async #listed(): Promise<string[] | undefined> {
    try {
      const slice = await this.#options.client.get(endpointSlices, { namespace: "default", name: "kubernetes" });
      return slice.endpoints.flatMap((endpoint) => endpoint.addresses).sort();
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #write(addresses: readonly string[]): Promise<void> {
    const { client, httpsPort } = this.#options;
    if ((await this.#listed())?.join() === addresses.join()) return;
    try {
      await ensureMasterEndpoints({ client, masters: addresses, httpsPort });
    } catch (error) {
      // Another one writes them at the same time, and sees the same Leases.
      if (!isConflict(error) && !isAlreadyExists(error)) throw error;
    }
    this.#options.log.info("API servers", { addresses: addresses.join(",") });
  }

  /** Takes this API server off the list, so that nobody is led to it any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    const { client, address, log } = this.#options;
    try {
      await client.delete(leases, { namespace, name: this.#name });
      const others = (await this.#serving()).filter((other) => other !== address);
      if (others.length > 0) await this.#write(others);
    } catch (error) {
      log.info("this API server is still listed; the others will see that it is gone", { error });
    }
  }
}

/** Pure: what is known of a Lease after one more look. */
function observe(
  before: Observed | undefined,
  {
    renewed,
    now_ms,
    hasAnswered,
  }: { readonly renewed: string; readonly now_ms: number; readonly hasAnswered: boolean },
): Observed {
  const hasMoved = before !== undefined && before.renewed !== renewed;
  const at_ms = before === undefined || hasMoved ? now_ms : before.at_ms;
  if (hasAnswered) return { renewed, at_ms, missed: 0 };
  const missed = before?.missed ?? 0;
  if (missed === "reachable by others" || (hasMoved && missed > 0))
    return { renewed, at_ms, missed: "reachable by others" };
  return { renewed, at_ms, missed: missed + 1 };
}

function takesConnections(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(answer_ms, () => end(false));
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
