import type { Client } from "#shared/client/client.ts";
import type { Seen } from "./dump.ts";
import type { Scenario } from "./scenario.ts";
import { type Witness, World } from "./world.ts";

/** What each look of a scenario has shown, by its label. */
export type Looks = Readonly<Record<string, Seen>>;

/** Plays a scenario; takes away what it made, also where it fails. */
export async function play(client: Client, { name, play }: Scenario, witness: Witness): Promise<void> {
  const world = new World(client, name, witness);
  await world.begin();
  try {
    await play(world);
  } finally {
    await world.end();
  }
}

/** Lines of what is seen that are not expected, and the other way round: empty when both are alike. */
export function differences(expected: Seen, seen: Seen): string[] {
  const [wanted, found] = [lines(expected), lines(seen)];
  return [
    ...wanted.filter((line) => !found.includes(line)).map((line) => `- ${line}`),
    ...found.filter((line) => !wanted.includes(line)).map((line) => `+ ${line}`),
  ];
}

/** One for each leaf of each object, and one for each Event. */
function lines({ objects, events }: Seen): string[] {
  const found: string[] = [];
  const walk = (value: unknown, path: string): void => {
    if (Array.isArray(value) && value.every((one) => typeof one === "string"))
      for (const one of value) found.push(`${path} has ${one}`);
    else if (typeof value !== "object" || value === null) found.push(`${path} = ${JSON.stringify(value)}`);
    else for (const [key, each] of Object.entries(value)) walk(each, `${path}.${nameOf(key, each)}`);
  };
  walk(objects, "");
  return [...found, ...events];
}

/** Conditions stand under their type, so that one more does not move the others. */
const nameOf = (key: string, value: unknown): string =>
  typeof value === "object" && value !== null && "type" in value ? String(value.type) : key;
