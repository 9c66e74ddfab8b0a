import { timingSafeEqual } from "node:crypto";
import { secrets } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import { type AuthenticatedToken, type TokenAuthenticator, TokenError } from "./token-authenticator.ts";

const pattern = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const groupPattern = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** Knows bootstrap tokens: Secrets of type bootstrap.kubernetes.io/token, named bootstrap-token-<id>, in kube-system. */
export class BootstrapTokens implements TokenAuthenticator {
  constructor(
    private readonly reader: ResourceReader,
    private readonly now_ms: () => number = Date.now,
  ) {}

  async authenticateToken(token: string): Promise<AuthenticatedToken | undefined> {
    const [, id, secret] = pattern.exec(token) ?? [];
    if (id === undefined || secret === undefined) return undefined;
    const found = this.reader.get(secrets, { namespace: "kube-system", name: `bootstrap-token-${id}` });
    if (!found || found.metadata.deletionTimestamp !== undefined || found.type !== "bootstrap.kubernetes.io/token")
      return undefined;
    if (dataOf(found, "token-id") !== id || !equalText(dataOf(found, "token-secret"), secret)) return undefined;
    if (this.#isExpired(found)) throw new TokenError("the bootstrap token has expired");
    if (dataOf(found, "usage-bootstrap-authentication") !== "true") return undefined;
    return { user: { name: `system:bootstrap:${id}`, groups: groupsOf(found) } };
  }

  #isExpired(secret: Secret): boolean {
    const expiration = dataOf(secret, "expiration");
    if (expiration === "") return false;
    const end_ms = Date.parse(expiration);
    // A date that cannot be read must not make a token that never ends.
    return Number.isNaN(end_ms) || end_ms <= this.now_ms();
  }
}

function groupsOf(secret: Secret): string[] {
  const extra = dataOf(secret, "auth-extra-groups")
    .split(",")
    .filter((group) => group !== "");
  const wrong = extra.find((group) => !groupPattern.test(group));
  if (wrong !== undefined) throw new TokenError(`bootstrap group ${JSON.stringify(wrong)} is invalid`);
  return ["system:bootstrappers", ...extra];
}

function dataOf(secret: Secret, key: string): string {
  const value = secret.data?.[key];
  return value === undefined ? "" : Buffer.from(value, "base64").toString("utf8");
}

function equalText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
