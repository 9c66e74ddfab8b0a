/** Settings of a part of systemd's (systemd.syntax(7), journald.conf(5)): the main file, and those that change it. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readIfPresent } from "#shared/files/if-present.ts";

/** In the order of precedence: a file of a name hides that of the same name in a later folder. */
const folders = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];

/** What counts, by key, whatever section it stands in. @param file such as `journald.conf`. @param root another tree than this
 *  machine's. */
export async function systemdSettings(root: string, file: string): Promise<ReadonlyMap<string, string>> {
  const texts = await settingsTexts(root, file);
  return new Map(texts.flatMap(parseSettings));
}

/** The main file, then the others by name, the last of which counts. */
async function settingsTexts(root: string, file: string): Promise<string[]> {
  const paths = new Map<string, string>();
  for (const folder of folders.toReversed()) {
    const place = join(root, folder, `${file}.d`);
    if (!existsSync(place)) continue;
    for (const name of await readdir(place)) if (name.endsWith(".conf")) paths.set(name, join(place, name));
  }
  const main = folders.map((folder) => join(root, folder, file)).find((path) => existsSync(path));
  const named = [...paths].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, path]) => path);
  const texts = await Promise.all([...(main === undefined ? [] : [main]), ...named].map(readIfPresent));
  return texts.filter((text) => text !== undefined);
}

/** Of one file. An empty value takes a former one back. */
function parseSettings(text: string): [key: string, value: string][] {
  return text.split("\n").flatMap((line): [string, string][] => {
    const [, key, value] = /^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    return key === undefined || value === undefined ? [] : [[key, value]];
  });
}
