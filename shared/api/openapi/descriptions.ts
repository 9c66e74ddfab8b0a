/**
 * Descriptions of models and their fields. They are not in the repository: the build collects them from the package that
 * carries them (tools/schema/descriptions.ts) and puts the file into the binary. Without it all else works the same.
 *
 * The file is compressed text, a line per model: its short name, a tab, and a JSON object with the model's description
 * under "" and those of its fields under their names. Options have lines too: their fields are parameters. It is read while
 * a document is made and then forgotten.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

export interface Descriptions {
  /** Descriptions of a model, by field, its own under ""; empty when there are none. */
  of(model: string): Readonly<Record<string, string>>;
}

export const noDescriptions: Descriptions = { of: () => ({}) };

const fileName = "descriptions.generated.gz";
const decompress = promisify(gunzip);

/** Reads the descriptions from the binary, or from beside the source where they were collected. */
export async function loadDescriptions(): Promise<Descriptions> {
  const compressed = await findFile();
  if (!compressed) return noDescriptions;
  const text = await decompress(await compressed.arrayBuffer());
  // Parameters are asked for once for each operation.
  const known = new Map<string, Record<string, string>>();
  return { of: (model) => known.getOrInsertComputed(model, () => lineOf(text, model)) };
}

async function findFile(): Promise<Blob | undefined> {
  const [stem = ""] = fileName.split(".gz");
  const embedded = Bun.embeddedFiles.find((file) => "name" in file && String(file.name).includes(stem));
  if (embedded) return embedded;
  const beside = join(import.meta.dir, fileName);
  return existsSync(beside) ? Bun.file(beside) : undefined;
}

function lineOf(text: Buffer, model: string): Record<string, string> {
  const key = `\n${model}\t`;
  const start = text.indexOf(key);
  if (start < 0) return {};
  const from = start + Buffer.byteLength(key);
  return JSON.parse(text.toString("utf8", from, text.indexOf("\n", from))) as Record<string, string>;
}
