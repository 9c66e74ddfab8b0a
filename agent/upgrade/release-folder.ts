import { join } from "node:path";
import { readIfPresent } from "#shared/files/if-present.ts";
import { checkSignature, imageSumsFile, ReleaseError, releaseKey, sumsFile } from "#shared/release/sums.ts";

/** So that who asks tells it from a program that does not know the command. */
const notSigned = 3;

/**
 * `bramble verify-release`: whether the lists of sums in a folder are signed by who signed this program; a program that nobody
 * signed takes all. What the lists name is for its sums to show. Says what is wrong. @returns the exit code: 0 or 3. Rejects with
 * ReleaseError for a folder that has no list, or is none: nothing was verified.
 */
export async function verifyReleaseFolder(folder: string, key = releaseKey): Promise<number> {
  let verified = 0;
  for (const name of [sumsFile, imageSumsFile] as const) {
    const sums = await readIfPresent(join(folder, name));
    if (sums === undefined) continue;
    verified += 1;
    try {
      checkSignature(sums, await readIfPresent(join(folder, `${name}.sig`)), key, name);
    } catch (error) {
      if (!(error instanceof ReleaseError)) throw error;
      console.error(`bramble: ${error.message}`);
      return notSigned;
    }
  }
  if (verified === 0)
    throw new ReleaseError(`${folder} has neither ${sumsFile} nor ${imageSumsFile}: is it a release?`);
  return 0;
}
