import { join } from "node:path";
import { loadAnswers, savedAnswers } from "../wire/recording.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Scenario } from "./world.ts";

export const file = join(import.meta.dir, "answers.json.br");
export const keyOf = ({ name }: Scenario, label: string): string => `${name}: ${label}`;
export const loadSnapshots = (): ((key: string) => Snapshot | undefined) => loadAnswers<Snapshot>(file);
export const allSnapshots = (): ReadonlyMap<string, Snapshot> => savedAnswers<Snapshot>(file);
