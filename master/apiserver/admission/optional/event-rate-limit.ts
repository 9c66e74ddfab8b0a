import { StatusError } from "#shared/api/errors.ts";
import { events } from "#shared/api/resources.ts";
import type { Event } from "#shared/api/types/core-v1.generated.ts";
import { BoundedMap } from "#shared/compact/bounded-map.ts";
import { TokenBucket } from "#shared/process/token-bucket.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";

/** Whom a limit holds: all together, or each namespace, user, or object with its source. */
export const limitTypes = ["Server", "Namespace", "User", "SourceAndObject"] as const;

export interface EventLimit {
  readonly type: (typeof limitTypes)[number];
  /** Events a second in the long run. */
  readonly qps: number;
  /** Events at once. */
  readonly burst: number;
  /** Namespaces, users or objects that are remembered; those that are quiet longest are forgotten first. 0: 4096. */
  readonly cacheSize: number;
}

const usualCacheSize = 4096;

/** Refuses Events that come too fast. */
export class EventRateLimit implements AdmissionPlugin {
  readonly name = "EventRateLimit";
  readonly resources = [events, { group: "events.k8s.io", plural: "events" }];
  readonly #limits: readonly { readonly limit: EventLimit; readonly buckets: Buckets }[];

  constructor(limits: readonly EventLimit[], now_ms: () => number = () => performance.now()) {
    this.#limits = limits.map((limit) => ({ limit, buckets: new Buckets(limit, now_ms) }));
  }

  validate(attributes: AdmissionAttributes): undefined {
    const { operation, dryRun } = attributes;
    // A dry run costs the store nothing.
    if (dryRun || (operation !== "CREATE" && operation !== "UPDATE")) return;
    const reached = this.#limits.flatMap(({ limit: { type }, buckets }) => {
      const key = keyOf(type, attributes);
      return buckets.take(key) ? [] : [`limit reached on type ${type} for key ${key}`];
    });
    if (reached.length === 0) return;
    const message = reached.length === 1 ? reached[0] : `[${reached.join(", ")}]`;
    throw new StatusError("TooManyRequests", String(message));
  }
}

function keyOf(type: EventLimit["type"], { namespace = "", user, object }: AdmissionAttributes): string {
  switch (type) {
    case "Server":
      return "";
    case "Namespace":
      return namespace;
    case "User":
      return user.name;
    case "SourceAndObject": {
      const { source, involvedObject: about } = (object ?? {}) as Partial<Event>;
      const parts = [about?.kind, about?.namespace, about?.name, about?.uid, about?.apiVersion];
      return [source?.component, source?.host, ...parts].map((part) => part ?? "").join("");
    }
    default:
      return type satisfies never;
  }
}

/** A bucket of tokens for each key, of which the least recently used are forgotten. */
class Buckets {
  readonly #byKey: BoundedMap<TokenBucket>;

  constructor(
    private readonly limit: EventLimit,
    private readonly now_ms: () => number,
  ) {
    this.#byKey = new BoundedMap(limit.cacheSize || usualCacheSize);
  }

  take(key: string): boolean {
    const { qps: perSecond, burst } = this.limit;
    const bucket = this.#byKey.get(key) ?? new TokenBucket({ perSecond, burst }, this.now_ms);
    this.#byKey.set(key, bucket);
    return bucket.take();
  }
}
