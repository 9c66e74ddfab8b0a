import { isAlreadyExists, isNotFound } from "#shared/api/errors.ts";
import { secrets } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { JoinToken } from "#shared/pki/join-token.ts";
import {
  boardBootstrapGroup,
  masterBootstrapGroup,
  oneBoardGroup,
  onlyBoardOf,
} from "../apiserver/authz/bramble-roles.ts";

const namespace = "kube-system";
const prefix = "bootstrap-token-";

export interface TokenTerms {
  /** A token for boards, or one that hands out the cluster's keys to a further master. */
  readonly purpose?: "board" | "master" | undefined;
  /** The name of the one board that may join by it. */
  readonly board?: string | undefined;
  readonly description?: string | undefined;
  /** Absent: until it is deleted. */
  readonly expiresAt?: Date | undefined;
}

/** The Secret (bootstrap.kubernetes.io/token) that makes a join token good. */
export function bootstrapSecret(token: Pick<JoinToken, "id" | "secret">, terms: TokenTerms = {}): Secret {
  const values: Record<string, string> = {
    "token-id": token.id,
    "token-secret": token.secret,
    "usage-bootstrap-authentication": "true",
    "auth-extra-groups": groupsOf(terms).join(","),
    ...(terms.description ? { description: terms.description } : {}),
    ...(terms.expiresAt ? { expiration: rfc3339(terms.expiresAt.getTime()) } : {}),
  };
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: `${prefix}${token.id}`, namespace },
    type: "bootstrap.kubernetes.io/token",
    data: Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, Buffer.from(value).toString("base64")]),
    ),
  };
}

function groupsOf({ purpose, board }: TokenTerms): string[] {
  if (purpose === "master") return [boardBootstrapGroup, masterBootstrapGroup];
  return board === undefined ? [boardBootstrapGroup] : [boardBootstrapGroup, oneBoardGroup(board)];
}

/** Sees to it that the token in the master's file is good, also after a restore or a lost store. */
export async function ensureBootstrapSecret(client: Client, token: JoinToken, terms: TokenTerms = {}): Promise<void> {
  try {
    await client.get(secrets, { namespace, name: `${prefix}${token.id}` });
    return;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  try {
    await client.create(secrets, bootstrapSecret(token, terms), { namespace });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

/** What `bramble token list` shows. The secret part is not among it. */
export interface TokenFacts {
  readonly id: string;
  readonly description: string;
  readonly purpose: "board" | "master";
  readonly board?: string | undefined;
  readonly expiresAt?: Date | undefined;
}

/** All that are in the cluster, whether good or past. */
export async function listBootstrapTokens(client: Client): Promise<TokenFacts[]> {
  const { items } = await client.list(secrets, {
    namespace,
    fieldSelector: "type=bootstrap.kubernetes.io/token",
  });
  return items.map((secret) => {
    const text = (key: string) => Buffer.from(secret.data?.[key] ?? "", "base64").toString("utf8");
    const expiration = text("expiration");
    const groups = text("auth-extra-groups").split(",");
    return {
      id: text("token-id"),
      description: text("description"),
      purpose: groups.includes(masterBootstrapGroup) ? "master" : "board",
      board: onlyBoardOf(groups),
      ...(expiration ? { expiresAt: new Date(expiration) } : {}),
    };
  });
}

/** Revokes a token by its id. Rejects with NotFound when there is none. */
export async function deleteBootstrapToken(client: Client, id: string): Promise<void> {
  await client.delete(secrets, { namespace, name: `${prefix}${id}` });
}
