import { parseDocument } from "yaml";
import { readIfPresent } from "../files/if-present.ts";
import { writeSecureFile } from "../files/secure-file.ts";

/** Sets keys of a file of settings; all others, and comments, stay as they are. */
export async function keepSettings(path: string, values: Readonly<Record<string, string>>): Promise<void> {
  const document = parseDocument(
    (await readIfPresent(path)) ?? "# Settings of Bramble; `bramble help master` lists them all.\n",
  );
  for (const [name, value] of Object.entries(values)) document.set(name, value);
  await writeSecureFile(path, document.toString());
}
