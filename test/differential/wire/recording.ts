/** Upstream's answers at rest: one JSON document, compressed, answers that many requests share stored once. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import type { WireAnswer } from "./answer.ts";

const wireAnswers = join(import.meta.dir, "answers.json.br");

interface Recording {
  readonly texts: readonly string[];
  /** By the name of a request: where its answer stands in `texts`. */
  readonly answers: Readonly<Record<string, number>>;
}

export function saveAnswers(answers: ReadonlyMap<string, unknown>, file = wireAnswers): void {
  const texts: string[] = [];
  const known = new Map<string, number>();
  const indexes = [...answers].map(([name, answer]) => {
    const text = JSON.stringify(answer);
    const index = known.get(text) ?? texts.push(text) - 1;
    known.set(text, index);
    return [name, index] as const;
  });
  const recording: Recording = { texts, answers: Object.fromEntries(indexes) };
  const parameters = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
  writeFileSync(file, brotliCompressSync(JSON.stringify(recording), { params: parameters }));
}

/** What was recorded before, by the name of the request. */
export const allAnswers = (): ReadonlyMap<string, WireAnswer> => savedAnswers<WireAnswer>(wireAnswers);

export function savedAnswers<Answer>(file: string): ReadonlyMap<string, Answer> {
  const { texts, answers } = read(file);
  return new Map(Object.entries(answers).map(([name, index]) => [name, JSON.parse(texts[index] ?? "null") as Answer]));
}

const read = (file: string): Recording => JSON.parse(brotliDecompressSync(readFileSync(file)).toString()) as Recording;

/** undefined: it was never asked. */
export function loadAnswers<Answer = WireAnswer>(file = wireAnswers): (name: string) => Answer | undefined {
  const { texts, answers } = read(file);
  return (name) => {
    const text = texts[answers[name] ?? -1];
    return text === undefined ? undefined : (JSON.parse(text) as Answer);
  };
}
