import { join } from "node:path";
import { loadAnswers, savedAnswers } from "../wire/recording.ts";
import type { Observed, Scenario } from "./scenario.ts";

export const file = join(import.meta.dir, "answers.json.br");

export const keyOf = ({ name }: Scenario, label: string): string => `${name}: ${label}`;

/** What was recorded before. */
export const allObserved = (): ReadonlyMap<string, Observed> => savedAnswers<Observed>(file);

/** undefined: it was never played. */
export const loadObserved = (): ((key: string) => Observed | undefined) => loadAnswers<Observed>(file);
