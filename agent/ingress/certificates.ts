import { createHash } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { isNotFound } from "#shared/api/errors.ts";
import { secrets } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import type { Checkpoint } from "../kubelet/checkpoint.ts";
import type { SecretKey } from "./routes.ts";

interface Known {
  readonly context: SecureContext | undefined;
  readonly digest: string;
  readAt_ms: number;
}

/** A Secret is read again when a client comes after so long: a renewed certificate is served, and idle costs nothing. */
const usualFresh_ms = 20_000;
/** So long does a client wait for a newer one when an older is there. */
const patience_ms = 1_000;
const mostKnown = 500;

/** Where certificates rest on the card, sealed. */
export type KeptCertificates = Pick<Checkpoint, "load" | "read" | "save" | "remove">;

/** TLS contexts out of Secrets that Ingresses name. They are read when an Ingress names them and again when clients ask,
 *  and kept sealed on the card for a boot with the master away. */
export class IngressCertificates {
  private readonly known = new Map<string, Known>();
  private readonly reading = new Map<string, Promise<Known>>();

  constructor(
    private readonly client: Client,
    private readonly log: Log,
    private readonly kept?: KeptCertificates | undefined,
    private readonly fresh_ms = usualFresh_ms,
  ) {}

  /** Reads Secrets that nobody has asked for yet, and forgets those that no Ingress names any more. */
  async retain(keys: readonly SecretKey[]): Promise<void> {
    const wanted = new Map(keys.slice(0, mostKnown).map((key) => [idOf(key), key]));
    for (const { metadata } of (await this.kept?.load("secrets")) ?? []) {
      const id = idOf({ namespace: metadata.namespace ?? "", name: metadata.name ?? "" });
      if (!wanted.has(id)) await this.kept?.remove("secrets", id);
    }
    for (const [id, key] of wanted) if (!this.known.has(id)) await this.contextOf(key);
  }

  /** undefined: the Secret is not there, or holds no usable pair. */
  async contextOf(key: SecretKey): Promise<SecureContext | undefined> {
    const id = idOf(key);
    const known = this.known.get(id);
    if (known && performance.now() - known.readAt_ms < this.fresh_ms) return known.context;
    const reading = this.reading.get(id) ?? this.read(id, key, known).finally(() => this.reading.delete(id));
    this.reading.set(id, reading);
    if (!known) return (await reading).context;
    const { promise: late, resolve } = Promise.withResolvers<Known>();
    const timer = setTimeout(resolve, patience_ms, known);
    try {
      return (await Promise.race([reading, late])).context;
    } finally {
      clearTimeout(timer);
    }
  }

  /** As the master has it; with the master away, and nothing known, as it was kept. */
  private async secret(id: string, key: SecretKey, isFirst: boolean): Promise<Secret> {
    const kept = isFirst && this.client.isAway ? await this.kept?.read("secrets", id) : undefined;
    if (kept) return kept;
    try {
      const secret = await this.client.get(secrets, key);
      await this.kept?.save("secrets", id, secret);
      return secret;
    } catch (error) {
      const last = isFirst && error instanceof ConnectionError ? await this.kept?.read("secrets", id) : undefined;
      if (last) return last;
      throw error;
    }
  }

  /** Resolves always: with what was known where the master does not answer. */
  private async read(id: string, key: SecretKey, before: Known | undefined): Promise<Known> {
    const readAt_ms = performance.now();
    let found: Known;
    try {
      const { data } = await this.secret(id, key, before === undefined);
      const cert = decoded(data?.["tls.crt"]);
      const privateKey = decoded(data?.["tls.key"]);
      const digest = createHash("sha256").update(`${cert}\0${privateKey}`).digest("hex");
      found =
        before?.digest === digest
          ? { ...before, readAt_ms }
          : { context: createSecureContext({ cert, key: privateKey }), digest, readAt_ms };
    } catch (error) {
      this.log.warn("cannot use the certificate of a Secret", { secret: id, error });
      // A Secret that is gone ends its certificate; a master that is away does not.
      if (isNotFound(error)) await this.kept?.remove("secrets", id);
      found = { context: isNotFound(error) ? undefined : before?.context, digest: before?.digest ?? "", readAt_ms };
    }
    this.known.delete(id);
    this.known.set(id, found);
    const oldest = this.known.keys().next().value;
    if (this.known.size > mostKnown && oldest !== undefined) this.known.delete(oldest);
    return found;
  }
}

const idOf = ({ namespace, name }: SecretKey): string => `${namespace}/${name}`;

function decoded(base64: string | undefined): string {
  return Buffer.from(base64 ?? "", "base64").toString("utf8");
}
