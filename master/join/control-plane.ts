import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { methodNotAllowed } from "#shared/api/errors.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { explainRefusal, tokenCredentials } from "#shared/pki/board-join.ts";
import { certificateFingerprint } from "#shared/pki/certificate.ts";
import { readIfPresent, writeSecureFile } from "#shared/pki/secure-file.ts";
import type { PathHandler } from "../apiserver/request-path.ts";
import { authorityFiles, PkiError } from "../pki/cluster-authorities.ts";

export const controlPlanePath = "/bramble/v1/control-plane";

/** Texts by their path below the data folder. */
interface ControlPlaneFiles {
  readonly files: Readonly<Record<string, string>>;
}

/** What masters share, below the data folder: the authorities, and what else is named (the store's encryption key). */
const sharedFiles = (more: readonly string[]): string[] => [...authorityFiles.map((file) => `pki/${file}`), ...more];

/** Hands the cluster's keys to a further master that shows a token for masters. They travel only on TLS whose server the
 *  new master has checked against the token. */
export function controlPlanePaths(
  dataDir: string,
  more: readonly string[] = [],
): Readonly<Record<string, PathHandler>> {
  return {
    [controlPlanePath]: async ({ method }) => {
      if (method !== "GET") throw methodNotAllowed({ group: "", plural: "control-plane" }, method.toLowerCase());
      const entries = await Promise.all(
        sharedFiles(more).map(async (file) => [file, await readFile(join(dataDir, file), "utf8")] as const),
      );
      const answer: ControlPlaneFiles = { files: Object.fromEntries(entries) };
      return { kind: "object", code: 200, value: () => answer, text: () => JSON.stringify(answer) };
    },
  };
}

export interface ControlPlaneJoin {
  readonly servers: readonly string[];
  /** A join token for masters. */
  readonly token: string;
  readonly dataDir: string;
  readonly signal?: AbortSignal | undefined;
}

/** Fetches the cluster's keys into the data folder of a further master, before its first start. Does nothing when it has
 *  them. Rejects with PkiError when the folder belongs to another cluster. */
export async function joinControlPlane(options: ControlPlaneJoin): Promise<void> {
  const { servers, token, dataDir, signal } = options;
  const credentials = await tokenCredentials(servers, token, signal);
  const present = await readIfPresent(join(dataDir, "pki/ca.crt"));
  if (present !== undefined) {
    if (certificateFingerprint(present) === certificateFingerprint(credentials.ca)) return;
    throw new PkiError(`${dataDir} holds the keys of another cluster. To join this one, move that folder away first`);
  }
  const client = new HttpClient({ servers, credentials: () => credentials });
  const request = { method: "GET", path: controlPlanePath, signal } as const;
  const { files } = (await client.raw(request).catch(explainRefusal)) as ControlPlaneFiles;
  const names = Object.keys(files);
  const missing = authorityFiles.filter((file) => !names.includes(`pki/${file}`));
  if (missing.length > 0) throw new PkiError(`the master did not send ${missing.join(", ")}`);
  const strange = names.find((name) => !/^[a-z0-9-]+(\/[a-z0-9.-]+)+$/.test(name) || name.includes(".."));
  if (strange !== undefined) throw new PkiError(`the master sent a file of an unexpected name: ${strange}`);
  // The CA's certificate last: a start that finds it finds everything.
  const ordered = [...names.filter((name) => name !== "pki/ca.crt"), "pki/ca.crt"];
  for (const name of ordered) await writeSecureFile(join(dataDir, name), files[name] ?? "");
}
