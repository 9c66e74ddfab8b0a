import { keyOf } from "#shared/api/object.ts";
import { endpointSlices, services } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { Informer, InformerFactory } from "#shared/client/informer.ts";
import { familyOf } from "#shared/net/ip-family.ts";
import { sliceByNode } from "./slice-index.ts";

/** What a board knows of a pod of its own. */
export interface OwnPod {
  readonly ips: readonly string[];
  readonly ready: boolean;
}

export interface BoardView {
  readonly nodeName: string;
  /** By UID; undefined for one that the board does not have. */
  ownPod(uid: string): OwnPod | undefined;
  /** The master cannot say what has changed. */
  readonly isAway: boolean;
}

/**
 * A slice as this board knows it to be (pure): the same object when the master has it right. A pod's address is what the
 * board gave it last, always. Whether a pod serves is for the master to say, and for the board while that is away.
 */
export function correctedSlice(slice: EndpointSlice, view: BoardView, publishesNotReady: boolean): EndpointSlice {
  let changed = false;
  const endpoints = (slice.endpoints ?? []).map((endpoint) => {
    const corrected = correctedEndpoint(endpoint, slice.addressType, view, publishesNotReady);
    changed ||= corrected !== endpoint;
    return corrected;
  });
  return changed ? { ...slice, endpoints } : slice;
}

function correctedEndpoint(
  endpoint: Endpoint,
  addressType: string,
  view: BoardView,
  publishesNotReady: boolean,
): Endpoint {
  const { nodeName, targetRef, conditions = {}, addresses } = endpoint;
  if (nodeName !== view.nodeName || targetRef?.kind !== "Pod" || !targetRef.uid) return endpoint;
  const pod = view.ownPod(targetRef.uid);
  const ip = pod?.ips.find((one) => familyOf(one) === addressType);
  const moved = ip !== undefined && !(addresses ?? []).includes(ip);
  const serves = pod?.ready === true && ip !== undefined;
  const ready = conditions.terminating ? false : serves || (publishesNotReady && ip !== undefined);
  const differs = view.isAway && (conditions.ready !== ready || (conditions.serving ?? conditions.ready) !== serves);
  if (!moved && !differs) return endpoint;
  return {
    ...endpoint,
    ...(moved ? { addresses: [ip] } : {}),
    ...(differs ? { conditions: { ...conditions, ready, serving: serves } } : {}),
  };
}

export interface BoardEndpointsOptions {
  readonly informers: InformerFactory;
  readonly nodeName: string;
  /** The board's pods with the status they have now, whether the master knows it or not. */
  readonly pods: () => readonly Pod[];
  readonly isAway: () => boolean;
}

const gather_ms = 50;
/** Corrections are looked at again this often, for the master may be back and have nothing to say; no timer without any. */
const recheck_ms = 10_000;

/**
 * Keeps the EndpointSlices in the agent's caches right for this board's own pods: a pod that restarts while the master is
 * away has another address, and one that fails must be left out. Whoever reads the cache (proxy, DNS, ingress) gets it.
 */
export class BoardEndpoints {
  readonly #options: BoardEndpointsOptions;
  readonly #slices: Informer<EndpointSlice>;
  /** What the master says of the slices that stand corrected in the cache. */
  readonly #originals = new Map<string, EndpointSlice>();
  #detach: () => void = () => undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerIsQuick = false;
  #amending = false;
  #isRunning = false;

  constructor(options: BoardEndpointsOptions) {
    this.#options = options;
    this.#slices = options.informers.informer(endpointSlices);
    this.#slices.addIndex(sliceByNode, ({ endpoints }) => [
      ...new Set((endpoints ?? []).flatMap(({ nodeName }) => nodeName ?? [])),
    ]);
  }

  start(): void {
    this.#isRunning = true;
    this.#detach = this.#slices.addHandler(({ object }) => {
      if (this.#amending) return;
      this.#originals.delete(keyOf(object));
      if (object.endpoints?.some(({ nodeName }) => nodeName === this.#options.nodeName)) this.prompt();
    });
  }

  stop(): Promise<void> {
    this.#isRunning = false;
    this.#detach();
    clearTimeout(this.#timer);
    return Promise.resolve();
  }

  /** A pod of this board has another status than before, or the master has gone or is back. */
  prompt(): void {
    this.#lookAfter(gather_ms);
  }

  #lookAfter(delay_ms: number): void {
    const quick = delay_ms === gather_ms;
    if (!this.#isRunning || (this.#timer && (this.#timerIsQuick || !quick))) return;
    clearTimeout(this.#timer);
    this.#timerIsQuick = quick;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, delay_ms);
    this.#timer.unref();
  }

  #look(): void {
    const { nodeName, pods, isAway, informers } = this.#options;
    const known = new Map(pods().map((pod) => [pod.metadata.uid ?? "", pod]));
    const view: BoardView = { nodeName, isAway: isAway(), ownPod: (uid) => ownPod(known.get(uid)) };
    const serviceLister = informers.lister(services);
    for (const present of this.#slices.lister.byIndex(sliceByNode, nodeName)) {
      const key = keyOf(present);
      const original = this.#originals.get(key) ?? present;
      const { namespace, labels } = present.metadata;
      const service = serviceLister.get(`${namespace}/${labels?.["kubernetes.io/service-name"] ?? ""}`);
      const corrected = correctedSlice(original, view, service?.spec?.publishNotReadyAddresses ?? false);
      if (corrected === original) this.#originals.delete(key);
      else this.#originals.set(key, original);
      if (JSON.stringify(corrected.endpoints) === JSON.stringify(present.endpoints)) continue;
      this.#amending = true;
      this.#slices.amend(corrected);
      this.#amending = false;
    }
    if (this.#originals.size > 0) this.#lookAfter(recheck_ms);
  }
}

function ownPod(pod: Pod | undefined): OwnPod | undefined {
  if (!pod) return undefined;
  const { podIPs = [], podIP, conditions = [] } = pod.status ?? {};
  return {
    ips: podIPs.length > 0 ? podIPs.map(({ ip }) => ip) : podIP ? [podIP] : [],
    ready: conditions.some(({ type, status }) => type === "Ready" && status === "True"),
  };
}
