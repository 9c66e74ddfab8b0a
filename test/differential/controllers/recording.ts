import { join } from "node:path";
import { loadAnswers, savedAnswers } from "../wire/recording.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Scenario } from "./world.ts";

export const answersFile = "answers.json.br";
export const keyOf = ({ name }: Scenario, label: string): string => `${name}: ${label}`;
/** @param folder where a suite's recording lies */
export const loadSnapshots = (folder: string): ((key: string) => Snapshot | undefined) =>
  loadAnswers<Snapshot>(join(folder, answersFile));
export const allSnapshots = (folder: string): ReadonlyMap<string, Snapshot> =>
  savedAnswers<Snapshot>(join(folder, answersFile));
