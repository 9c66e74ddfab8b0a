/**
 * Plays the scenarios to upstream's kube-apiserver (upstream.sh, with its default admission) and writes what it does:
 *   UPSTREAM_ADMISSION=default test/differential/upstream.sh DIR
 *   bun test/differential/watches/record.ts DIR; test/differential/upstream.sh DIR stop
 * Names of scenarios that build on no other ones, after DIR, record those alone.
 */
import { saveAnswers } from "../wire/recording.ts";
import { play } from "./play.ts";
import { allObserved, file, keyOf } from "./recording.ts";
import { scenarios } from "./scenarios.ts";
import { upstreamSide } from "./upstream-side.ts";

const [folder = "", ...only] = process.argv.slice(2);
const side = upstreamSide(folder);
const answers = new Map(only.length > 0 ? allObserved() : []);
try {
  for (const scenario of scenarios.filter(({ name }) => only.length === 0 || only.includes(name))) {
    const observed = await play(side, scenario, () => undefined);
    for (const [label, each] of observed) answers.set(keyOf(scenario, label), each);
    console.log(scenario.name, answers.size);
  }
} finally {
  // What is not asked any more is forgotten.
  const asked = new Set(scenarios.flatMap((scenario) => scenario.steps.map(({ label }) => keyOf(scenario, label))));
  saveAnswers(new Map([...answers].filter(([key]) => asked.has(key))), file);
}
