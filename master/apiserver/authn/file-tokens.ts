/** Tokens of people that stand in a file (--token-auth-file), read once at the start as upstream has it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { User } from "../request.ts";
import type { AuthenticatedToken, TokenAuthenticator } from "./token-authenticator.ts";

/** Undefined where the settings name none. Throws ConfigError. */
export function fileTokensOf({ tokenAuthFile: path }: Pick<MasterSettings, "tokenAuthFile">): FileTokens | undefined {
  if (path === "") return undefined;
  try {
    return new FileTokens(usersIn(readFileSync(path, "utf8"), path));
  } catch (error) {
    throw new ConfigError(`token-auth-file: ${(error as Error).message}`);
  }
}

export class FileTokens implements TokenAuthenticator {
  constructor(private readonly users: ReadonlyMap<string, User>) {}

  async authenticateToken(token: string): Promise<AuthenticatedToken | undefined> {
    const user = this.users.get(digestOf(token));
    return user && { user };
  }
}

/** Users by the digests of their tokens: how long a look-up takes tells nothing of a token. Of two the same, the last counts. */
export function usersIn(text: string, path: string): ReadonlyMap<string, User> {
  const users = new Map<string, User>();
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const [token = "", name = "", uid, groups] = fieldsOf(line);
    if (uid === undefined)
      throw new Error(
        `token file '${path}' must have at least 3 columns (token, user name, user uid), found ${fieldsOf(line).length}`,
      );
    if (token === "") continue;
    users.set(digestOf(token), {
      name,
      ...(uid === "" ? {} : { uid }),
      groups: groups === undefined ? [] : groups.split(","),
    });
  }
  return users;
}

const digestOf = (token: string): string => createHash("sha256").update(token).digest("base64");

/** Of a line of CSV (RFC 4180). */
function fieldsOf(line: string): string[] {
  const fields = [...`,${line}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^,]*))/g)];
  return fields.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "");
}
