import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { unauthorized } from "#shared/api/errors.ts";
import type { Client } from "#shared/client/client.ts";
import { BoundedMap } from "#shared/compact/bounded-map.ts";
import { peerSubject } from "#shared/pki/peer-subject.ts";

/** Who asks, from a certificate or a token. */
export interface Caller {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid?: string | undefined;
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** What a SubjectAccessReview is about, the subject apart. */
export type AccessAttributes =
  | { readonly resourceAttributes: Readonly<Record<string, string>> }
  | { readonly nonResourceAttributes: { readonly path: string; readonly verb: string } };

/** Who asks, and what they may do. */
export interface Access {
  /** Who sent the request; undefined for nobody. Throws StatusError (401) for who cannot prove it. */
  callerOf(request: IncomingMessage): Promise<Caller | undefined>;
  allows(caller: Caller, attributes: AccessAttributes): Promise<boolean>;
}

const answerFor_ms = 30_000;
const mostAnswers = 256;

/** Asks the API server who a caller is (TokenReview) and what the caller may do (SubjectAccessReview); answers are kept a while. */
export class DelegatedAccess implements Access {
  readonly #answers = new BoundedMap<{ readonly allowed: boolean; readonly until_ms: number }>(mostAnswers);

  /** @param authorizing asks what callers may do, where that is not who asks who they are. */
  constructor(
    private readonly authenticating: Client,
    private readonly authorizing: Client = authenticating,
  ) {}

  /** Whoever has a certificate that TLS let through is known by it. */
  async callerOf(request: IncomingMessage): Promise<Caller | undefined> {
    const socket = request.socket as TLSSocket;
    if (socket.authorized) {
      const { commonName, organizations } = peerSubject(socket);
      if (commonName) return { user: commonName, groups: [...organizations, "system:authenticated"] };
    }
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1];
    return token === undefined ? undefined : this.callerByToken(token);
  }

  async allows(caller: Caller, attributes: AccessAttributes): Promise<boolean> {
    const key = JSON.stringify([caller, attributes]);
    const known = this.#answers.get(key);
    if (known && known.until_ms > performance.now()) return known.allowed;
    const allowed = await this.allowsNow(caller, attributes);
    this.#answers.set(key, { allowed, until_ms: performance.now() + answerFor_ms });
    return allowed;
  }

  /** Throws StatusError (401) for a token that is not good. */
  async callerByToken(token: string): Promise<Caller> {
    const review = (await this.authenticating.raw({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/tokenreviews",
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } },
    })) as { status?: { authenticated?: boolean; user?: ReviewedUser } };
    const { authenticated, user } = review.status ?? {};
    if (!authenticated || !user?.username) throw unauthorized();
    return { user: user.username, groups: user.groups ?? [], uid: user.uid, extra: user.extra };
  }

  /** As `allows`, whatever was answered before. */
  async allowsNow({ user, groups, uid, extra }: Caller, attributes: AccessAttributes): Promise<boolean> {
    const review = (await this.authorizing.raw({
      method: "POST",
      path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
      body: {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        spec: { user, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}), ...attributes },
      },
    })) as { status?: { allowed?: boolean } };
    return review.status?.allowed === true;
  }
}

interface ReviewedUser {
  readonly username?: string;
  readonly groups?: string[];
  readonly uid?: string;
  readonly extra?: Record<string, string[]>;
}
