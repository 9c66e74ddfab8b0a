import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Client } from "#shared/client/client.ts";
import { ApiEventRecorder } from "#shared/client/event-recorder.ts";
import { runLeaderElection } from "#shared/client/leader-election.ts";
import type { Log } from "#shared/client/log.ts";
import type { Part } from "#shared/process/parts.ts";

/** A part that says how it is: resolves with "ok", or rejects with what is wrong. */
export interface CheckedPart extends Part {
  check(): Promise<string>;
}

export interface LeadershipOptions {
  readonly client: Client;
  readonly lease: string;
  /** kube-system when absent. */
  readonly namespace?: string | undefined;
  /** client-go's when absent. */
  readonly times?:
    | { readonly leaseDuration_ms: number; readonly renewDeadline_ms: number; readonly retryPeriod_ms: number }
    | undefined;
  /** Who tells of the lease's turns; nobody when absent. */
  readonly eventSource?: string | undefined;
  readonly log: Log;
}

const retry_ms = 5_000;
/** A renewal is a write to the disk of every member of etcd; two fit into the time after which a lease is given up. */
const renewEvery_ms = 4_500;

/** Starts the part whenever this process holds the lease, and stops it when the lease is lost. `start` is to give up when its
 *  signal aborts: who has lost the lease while it starts must not wait for an API server that is away. */
export function onceInCluster(
  { client, lease, namespace = "kube-system", times, eventSource, log }: LeadershipOptions,
  start: (signal: AbortSignal) => Promise<CheckedPart>,
): CheckedPart {
  const ending = new AbortController();
  let leading: CheckedPart | undefined;
  let failure: unknown;
  const lead = async (signal: AbortSignal): Promise<void> => {
    const lost = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    log.info("leading", { lease });
    try {
      leading = await start(signal);
      failure = undefined;
      await lost;
      await leading.stop();
    } catch (error) {
      // The lease is given up, so that another may do better.
      failure = error;
      if (signal.aborted) log.info("did not begin to lead before the end", { lease, error });
      else log.error("could not lead", { lease, error });
      await Promise.race([lost, Bun.sleep(retry_ms)]);
    } finally {
      leading = undefined;
    }
    log.info("leading no more", { lease });
  };
  const identity = `${hostname()}_${randomUUID()}`;
  const candidacy = {
    client,
    lease: { namespace, name: lease },
    identity,
    ...times,
    renewPeriod_ms: Math.min(renewEvery_ms, (times?.renewDeadline_ms ?? Number.POSITIVE_INFINITY) / 2),
    ...(eventSource === undefined ? {} : { events: new ApiEventRecorder(client, { component: eventSource, log }) }),
    log,
  };
  const election = runLeaderElection(candidacy, lead, ending.signal);
  return {
    async check() {
      if (failure !== undefined) throw failure;
      return leading ? leading.check() : "ok";
    },
    async stop() {
      ending.abort();
      await election;
    },
  };
}
