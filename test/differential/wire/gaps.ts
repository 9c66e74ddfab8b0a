/**
 * Requests whose answers still differ: what is left to mend, by name, compressed. It only shrinks. `record.ts` does not
 * touch it; `bun test/differential/wire/gaps.ts` writes it anew from what differs now.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, brotliDecompressSync } from "node:zlib";
import { differing } from "./comparison.ts";
import { groups } from "./requests.ts";
import { startWireServer } from "./server.ts";

const file = join(import.meta.dir, "gaps.json.br");

export function loadGaps(): ReadonlySet<string> {
  return new Set(JSON.parse(brotliDecompressSync(readFileSync(file)).toString()) as string[]);
}

if (import.meta.main) {
  const server = await startWireServer();
  const names: string[] = [];
  for (const group of groups) names.push(...(await differing(server.target, group)).map(({ name }) => name));
  await server.stop();
  writeFileSync(file, brotliCompressSync(JSON.stringify(names)));
  console.log(`${names.length} differ`);
}
