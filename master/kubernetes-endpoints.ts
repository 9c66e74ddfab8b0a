/**
 * Where the `kubernetes` Service leads when there are several API servers. Each keeps a Lease that says that it serves and
 * at which address (KEP-1965), and writes the endpoints when its view of who serves differs from them: so the list is
 * right whichever of them are left. A single master writes its endpoints once, at its start, and keeps no Lease.
 */
import { createHash } from "node:crypto";
import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import { endpointSlices, leases } from "#shared/api/resources.ts";
import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type Clock, microTimestamp, pause, systemClock } from "#shared/client/clock.ts";
import type { Log } from "#shared/client/log.ts";
import { ensureMasterEndpoints } from "./bootstrap-objects.ts";

export interface KubernetesEndpointsOptions {
  readonly client: Client;
  /** Of this API server. */
  readonly address: string;
  readonly httpsPort: number;
  readonly log: Log;
  readonly clock?: Clock | undefined;
}

const namespace = "kube-system";
const identityLabel = "apiserver.kubernetes.io/identity";
const identityValue = "kube-apiserver";
const addressAnnotation = "bramble.dev/advertise-address";

const renewEvery_ms = 10_000;
/** An API server whose Lease stands still for so long does not serve. */
const silentFor_ms = 31_000;

/** The address of each Lease, and how long it has stood unchanged by this board's own clock: boards' clocks disagree. */
interface Observed {
  readonly renewed: string;
  readonly at_ms: number;
}

export class KubernetesEndpoints {
  readonly #options: KubernetesEndpointsOptions;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #observed = new Map<string, Observed>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: KubernetesEndpointsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const hash = createHash("sha256").update(options.address).digest("hex").slice(0, 26);
    this.#name = `apiserver-${hash}`;
  }

  /** Resolves once this API server is listed. */
  async start(): Promise<void> {
    await this.#round();
    this.#running = this.#keep();
  }

  async #keep(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await pause(this.#clock, renewEvery_ms, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      await this.#round().catch((error: unknown) => this.#options.log.info("the masters' endpoints", { error }));
    }
  }

  async #round(): Promise<void> {
    await this.#renew();
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

  /** Addresses of the API servers whose Leases move, this one among them. */
  async #serving(): Promise<string[]> {
    const { items } = await this.#options.client.list(leases, {
      namespace,
      labelSelector: `${identityLabel}=${identityValue}`,
    });
    const now_ms = this.#clock.now_ms();
    const addresses = new Set([this.#options.address]);
    const seen = new Set<string>();
    for (const { metadata, spec } of items) {
      const { name = "", annotations } = metadata;
      const renewed = spec?.renewTime ?? "";
      seen.add(name);
      if (this.#observed.get(name)?.renewed !== renewed) this.#observed.set(name, { renewed, at_ms: now_ms });
      const silent_ms = now_ms - (this.#observed.get(name)?.at_ms ?? now_ms);
      const address = annotations?.[addressAnnotation];
      if (address !== undefined && silent_ms < silentFor_ms) addresses.add(address);
    }
    for (const name of this.#observed.keys()) if (!seen.has(name)) this.#observed.delete(name);
    return [...addresses].sort();
  }

  async #write(addresses: readonly string[]): Promise<void> {
    const { client, httpsPort } = this.#options;
    const present = await client
      .get(endpointSlices, { namespace: "default", name: "kubernetes" })
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
    const listed = present?.endpoints.flatMap((endpoint) => endpoint.addresses).sort();
    if (listed?.join() === addresses.join()) return;
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
