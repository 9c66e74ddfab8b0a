import { existsSync } from "node:fs";
import { join } from "node:path";
import { saveAnswers, savedAnswers } from "../wire/recording.ts";
import type { Looks } from "./play.ts";

const file = join(import.meta.dir, "answers.json.br");

/** What upstream's programs came to, by scenario and look. */
export function loadRecorded(): Readonly<Record<string, Looks>> {
  return existsSync(file) ? Object.fromEntries(savedAnswers<Looks>(file)) : {};
}

export function saveRecorded(recorded: Readonly<Record<string, Looks>>): void {
  saveAnswers(new Map(Object.entries(recorded)), file);
}
