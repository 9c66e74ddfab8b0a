import { join } from "node:path";
import { badRequest, forbidden, methodNotAllowed } from "#shared/api/errors.ts";
import type { Log } from "#shared/client/log.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import type { RequestBody } from "../apiserver/request.ts";
import type { PathAnswer } from "../apiserver/server-parts.ts";
import { encryptionKeysIn, parseEncryptionKeys } from "../store/encryption-keys.ts";
import { encryptionKeyFile } from "../store/store-choice.ts";

/** Where the administrator puts another set of encryption keys into a master (`bramble encryption rotate`). They go from hand
 *  to hand, and never into the store that they are for. */
export const encryptionKeyPath = "/bramble/v1/encryption-keys";

/** The path with what answers there. */
export function encryptionKeyPaths(dataDir: string, log: Log): Readonly<Record<string, PathAnswer>> {
  const path = join(dataDir, encryptionKeyFile);
  return {
    [encryptionKeyPath]: async ({ method, user, body }) => {
      const resource = { group: "", plural: "encryption-keys" };
      if (method !== "PUT") throw methodNotAllowed(resource, method.toLowerCase());
      // No rule of RBAC gives this away by mistake.
      if (!user.groups.includes("system:masters"))
        throw forbidden(resource, "", "only administrators change these keys");
      const text = keysTextOf(await body.read());
      const present = encryptionKeysIn(path)();
      const keys = parseEncryptionKeys(text, "the request");
      const ids = (from: typeof keys): string[] => [from.writing, ...from.others].map(({ keyId }) => keyId);
      if (!ids(keys).some((id) => ids(present).includes(id)))
        throw badRequest("these keys are of another cluster: none of them is known here");
      await writeSecureFile(path, text);
      log.info("the keys that encrypt Secrets in the store were changed", { writing: keys.writing.keyId });
      const answer = { keys: ids(keys) };
      return { kind: "object", code: 200, value: () => answer, text: () => JSON.stringify(answer) };
    },
  };
}

function keysTextOf(body: RequestBody): string {
  try {
    const value =
      body.kind === "object"
        ? body.object
        : body.kind === "bytes"
          ? JSON.parse(Buffer.from(body.bytes).toString())
          : {};
    const { keys } = value as { keys?: unknown };
    if (typeof keys !== "string") throw new Error("it names no keys");
    parseEncryptionKeys(keys, "the request");
    return keys;
  } catch (error) {
    throw badRequest(`not a set of keys: ${(error as Error).message}`);
  }
}
