/** What upstream's server publishes, and how it answers. It is kept compressed: models stand in many documents. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import type { Documents } from "./documents.ts";
import type { OpenApiAnswer } from "./requests.ts";

export interface Recording {
  readonly documents: Documents;
  readonly answers: Readonly<Record<string, OpenApiAnswer>>;
}

const path = join(import.meta.dir, "recording.json.br");

export function loadRecording(): Recording {
  return JSON.parse(brotliDecompressSync(readFileSync(path)).toString()) as Recording;
}

export function saveRecording(recording: Recording): void {
  const params = { [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS };
  writeFileSync(path, brotliCompressSync(JSON.stringify(recording), { params }));
}
